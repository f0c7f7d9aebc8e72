#include "datasets/loader.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "datasets/batch_stream.h"
#include "datasets/epoch.h"
#include "tensor/check.h"

namespace bbam {
namespace {

void check_options(const LoaderOptions& o) {
  check(o.batch_size >= 1 && o.divisibility >= 1 && o.workers >= 0 && o.batches_ahead >= 1,
        "loader: batch_size ", o.batch_size, ", divisibility ", o.divisibility, ", workers ",
        o.workers, ", batches_ahead ", o.batches_ahead, "; expected at least 1, 1, 0, 1");
  check(!o.short_sides.empty() && *std::min_element(o.short_sides.begin(), o.short_sides.end()) > 0,
        "loader: short_sides must be positive, and at least one");
  check(o.long_side > 0, "loader: long_side ", o.long_side, "; expected a positive number");
  check(o.flip_probability >= 0 && o.flip_probability <= 1, "loader: flip_probability ",
        o.flip_probability, "; expected 0 to 1");
}

// Which records make up each batch of one epoch. Full batches come in the order in which they fill
// up, then the two partial ones, so that every epoch has the same number of batches.
std::vector<std::vector<size_t>> batches_of_epoch(const std::vector<Record>& records,
                                                  const LoaderOptions& options, int64_t epoch) {
  std::vector<size_t> order(records.size());
  std::iota(order.begin(), order.end(), size_t(0));
  if (options.shuffle) order = shuffled_order(records.size(), options.seed, epoch);
  std::vector<std::vector<size_t>> batches;
  std::vector<size_t> filling[2];  // wide, tall
  for (size_t index : order) {
    const bool tall = records[index].height >= records[index].width;
    std::vector<size_t>& batch = filling[options.group_by_aspect && tall ? 1 : 0];
    batch.push_back(index);
    if (int(batch.size()) == options.batch_size) batches.push_back(std::exchange(batch, {}));
  }
  for (std::vector<size_t>& batch : filling)
    if (!batch.empty()) batches.push_back(std::move(batch));
  return batches;
}

// What chance decides about one picture in one epoch.
struct Augmentation {
  int short_side = 0;
  bool flip = false;
};

Augmentation augmentation_of(size_t record, int64_t epoch, const LoaderOptions& options) {
  const Random random = augmentation_random(record, options.seed, epoch);
  const int64_t choice = random.below(0, int64_t(options.short_sides.size()));
  return {options.short_sides[size_t(choice)], random.uniform(1) < options.flip_probability};
}

std::vector<int> chosen_objects(const Record& record, const LoaderOptions& options) {
  std::vector<int> chosen;
  for (size_t k = 0; k < record.objects.size(); ++k) {
    const Object& object = record.objects[k];
    if (!options.plain_objects_only || !(object.difficult || object.crowd))
      chosen.push_back(int(k));
  }
  return chosen;
}

Tensor boxes_tensor(const Record& record, const std::vector<int>& objects, ImageSize to,
                    bool flip) {
  std::vector<float> values;
  for (int k : objects) {
    PixelBox box = resize_box(record.objects[size_t(k)].box, record.size(), to);
    if (flip) box = flip_horizontal(box, to.width);
    values.insert(values.end(), {box.x0, box.y0, box.x1, box.y1});
  }
  return Tensor::from(values, {int64_t(objects.size()), 4});
}

Tensor labels_tensor(const Record& record, const std::vector<int>& objects) {
  std::vector<int64_t> values;
  for (int k : objects) values.push_back(record.objects[size_t(k)].label);
  return Tensor::from(values);
}

Tensor masks_tensor(const Record& record, const std::vector<int>& objects, ImageSize to,
                    bool flip) {
  const std::vector<Image> masks = read_masks(record);
  Tensor tensor = Tensor::empty({int64_t(objects.size()), to.height, to.width}, DType::kU8);
  uint8_t* at = tensor.mutable_data<uint8_t>();
  for (int k : objects) {
    Image mask = resize_nearest(masks[size_t(k)], to);
    if (flip) mask = flip_horizontal(mask);
    at = std::copy(mask.pixels.begin(), mask.pixels.end(), at);
  }
  return tensor;
}

}  // namespace

struct Loader::Work {
  const Dataset& dataset;
  const LoaderOptions options;
  const int64_t batches_per_epoch;
  BatchStream<Batch> stream;

  Work(const Dataset& data, const LoaderOptions& loader_options, int64_t first_step)
      : dataset(data), options(loader_options),
        batches_per_epoch(int64_t(batches_of_epoch(data.records, loader_options, 0).size())),
        stream([this](int64_t step) { return make(step); }, first_step, batches_per_epoch,
               options.workers, options.batches_ahead) {}

  Batch make(int64_t step) const {
    const int64_t epoch = step / batches_per_epoch;
    const auto batches = batches_of_epoch(dataset.records, options, epoch);
    Batch batch;
    batch.step = step;
    std::vector<Tensor> images;
    for (size_t index : batches[size_t(step % batches_per_epoch)]) try {
        add(index, augmentation_of(index, epoch, options), batch, images);
      } catch (const Error& error) {
        batch.problems.push_back(error.what());
      }
    if (!images.empty()) batch.images = batch_images(images, options.divisibility);
    return batch;
  }

  // All that can fail comes before the first change.
  void add(size_t index, const Augmentation& augmentation, Batch& batch,
           std::vector<Tensor>& images) const {
    const Record& record = dataset.records[index];
    const ImageSize size = resized_size(record.size(), augmentation.short_side, options.long_side);
    const bool flip = augmentation.flip;
    const std::vector<int> objects = chosen_objects(record, options);
    const Image image = resize_bilinear(read_picture(record), size);
    if (options.with_masks) batch.masks.push_back(masks_tensor(record, objects, size, flip));
    images.push_back(to_bgr_tensor(flip ? flip_horizontal(image) : image, options.mean));
    batch.sizes.push_back(size);
    batch.boxes.push_back(boxes_tensor(record, objects, size, flip));
    batch.labels.push_back(labels_tensor(record, objects));
    batch.records.push_back(index);
    batch.objects.push_back(objects);
    batch.flipped.push_back(flip);
  }
};

LoaderOptions training_loader_options() {
  return {.flip_probability = 0.5,
          .shuffle = true,
          .group_by_aspect = true,
          .plain_objects_only = true};
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_step) {
  check(!dataset.records.empty(), "loader: the data set has no pictures");
  check(first_step >= 0, "loader: first step ", first_step, "; expected 0 or more");
  check_options(options);
  work_ = std::make_unique<Work>(dataset, options, first_step);
}

Loader::~Loader() = default;

int64_t Loader::batches_per_epoch() const { return work_->batches_per_epoch; }

const std::vector<std::string>& Loader::problems() const { return work_->stream.problems(); }

Batch Loader::next() { return work_->stream.next(); }

}  // namespace bbam
