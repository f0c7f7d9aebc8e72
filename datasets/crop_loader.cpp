#include "datasets/crop_loader.h"

#include <algorithm>
#include <cmath>

#include "datasets/batch_stream.h"
#include "datasets/epoch.h"
#include "tensor/check.h"

namespace bbam {
namespace {

constexpr double kMostScale = 16;

void check_options(const CropLoaderOptions& o) {
  check(o.batch_size >= 1 && o.crop_px >= 1 && o.workers >= 0 && o.batches_ahead >= 1,
        "crop loader: batch_size ", o.batch_size, ", crop_px ", o.crop_px, ", workers ", o.workers,
        ", batches_ahead ", o.batches_ahead, "; expected at least 1, 1, 0, 1");
  check(!o.scales.empty(), "crop loader: no scales; expected at least one");
  for (const double scale : o.scales)
    check(scale > 0 && scale <= kMostScale, "crop loader: scale ", scale,
          "; expected above 0, at most ", kMostScale);
  check(o.flip_probability >= 0 && o.flip_probability <= 1, "crop loader: flip_probability ",
        o.flip_probability, "; expected 0 to 1");
}

Crop draw_crop(ImageSize size, const CropLoaderOptions& options, const Random& random) {
  const double scale = options.scales[size_t(random.below(0, int64_t(options.scales.size())))];
  Crop crop;
  crop.scaled = {std::max(1, int(size.width * scale)), std::max(1, int(size.height * scale))};
  const auto offset = [&](uint64_t k, int extent) {
    return int(random.below(k, std::max(extent - options.crop_px, 0) + 1));
  };
  crop.top = offset(1, crop.scaled.height);
  crop.left = offset(2, crop.scaled.width);
  crop.flipped = random.uniform(3) < options.flip_probability;
  return crop;
}

// Copies the crop of a scaled picture, whose pixels have `channels` values each; what the picture
// does not reach stays as it is.
template <class T>
void copy_crop(const T* scaled, const Crop& crop, int channels, int crop_px, T* to) {
  const int rows = std::min(crop_px, crop.scaled.height - crop.top);
  const int columns = std::min(crop_px, crop.scaled.width - crop.left);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x) {
      const int64_t from = int64_t(crop.top + y) * crop.scaled.width + crop.left + x;
      const int64_t at = int64_t(y) * crop_px + (crop.flipped ? crop_px - 1 - x : x);
      std::copy_n(scaled + from * channels, channels, to + at * channels);
    }
}

}  // namespace

struct CropLoader::Work {
  const Dataset& dataset;
  const CropLoaderOptions options;
  const int64_t batches_per_epoch;
  BatchStream<CropBatch> stream;

  Work(const Dataset& data, const CropLoaderOptions& loader_options, int64_t first_step)
      : dataset(data), options(loader_options),
        batches_per_epoch((int64_t(data.records.size()) + options.batch_size - 1) /
                          options.batch_size),
        stream([this](int64_t step) { return make(step); }, first_step, batches_per_epoch,
               options.workers, options.batches_ahead) {}

  CropBatch make(int64_t step) const {
    const int64_t epoch = step / batches_per_epoch;
    const std::vector<size_t> order = shuffled_order(dataset.records.size(), options.seed, epoch);
    const size_t begin = size_t(step % batches_per_epoch) * size_t(options.batch_size);
    const size_t end = std::min(begin + size_t(options.batch_size), order.size());
    CropBatch batch;
    batch.step = step;
    std::vector<Tensor> images;
    std::vector<uint8_t> labels;
    for (size_t k = begin; k < end; ++k) try {
        add(order[k], augmentation_random(order[k], options.seed, epoch), batch, images, labels);
      } catch (const Error& error) {
        batch.problems.push_back(error.what());
      }
    if (images.empty()) return batch;
    batch.images = batch_images(images);
    batch.labels = Tensor::from(labels, {int64_t(images.size()), options.crop_px, options.crop_px});
    return batch;
  }

  // All that can fail comes before the first change.
  void add(size_t index, const Random& random, CropBatch& batch, std::vector<Tensor>& images,
           std::vector<uint8_t>& labels) const {
    const Record& record = dataset.records[index];
    const Image picture = read_picture(record), map = read_class_map(dataset, record);
    const Crop crop = draw_crop(record.size(), options, random);
    const Tensor scaled = to_bgr_tensor(resize_bilinear(picture, crop.scaled), options.mean);
    const Image scaled_map = resize_nearest(map, crop.scaled);

    const int side = options.crop_px;
    Tensor image = Tensor::zeros({side, side, 3});
    copy_crop(scaled.data<float>(), crop, 3, side, image.mutable_data<float>());
    images.push_back(image);
    labels.resize(images.size() * size_t(side) * size_t(side), kVoid);
    copy_crop(scaled_map.pixels.data(), crop, 1, side,
              labels.data() + (images.size() - 1) * size_t(side) * size_t(side));
    batch.records.push_back(index);
    batch.crops.push_back(crop);
  }
};

CropLoader::CropLoader(const Dataset& dataset, const CropLoaderOptions& options,
                       int64_t first_step) {
  check(!dataset.records.empty(), "crop loader: the data set has no pictures");
  check(first_step >= 0, "crop loader: first step ", first_step, "; expected 0 or more");
  check_options(options);
  work_ = std::make_unique<Work>(dataset, options, first_step);
}

CropLoader::~CropLoader() = default;

CropBatch CropLoader::next() { return work_->stream.next(); }

int64_t CropLoader::batches_per_epoch() const { return work_->batches_per_epoch; }

const std::vector<std::string>& CropLoader::problems() const { return work_->stream.problems(); }

}  // namespace bbam
