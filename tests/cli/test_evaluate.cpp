#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attribution/map_to_probability.h"
#include "cli/evaluation.h"
#include "cli/label_match.h"
#include "tests/cli/run_command.h"
#include "tests/cli/tiny_voc.h"
#include "tests/temp_folder.h"

using namespace bbam;
using bbam::test::CommandResult;
using bbam::test::contains;
using bbam::test::is_error;
using bbam::test::run_command;
using bbam::test::TempFolder;
using nlohmann::json;

namespace {

struct TinyVoc {
  TempFolder folder;
  std::string root = folder.path("voc");
  TinyVoc() { bbam::test::write_tiny_voc(root); }

  CommandResult evaluate(const std::string& what, const std::string& results,
                         std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"evaluate", what, results, "--data", root};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments);
  }
  std::string results(const std::string& text) const {
    write_file(folder.path("results.json"), text);
    return folder.path("results.json");
  }
};

Instance mask_of_box(const std::string& image, int category, int object, PixelBox box,
                     ImageSize size) {
  Instance instance{.image_id = image, .category = category, .box = box};
  instance.mask = rle_from_box(box.x0, box.y0, box.x1, box.y1, size.height, size.width);
  instance.object = object;
  return instance;
}

std::vector<std::string> with_out(std::vector<std::string> options, const std::string& path) {
  options.insert(options.end(), {"--out", path});
  return options;
}

json figures(const std::string& path) { return json::parse(read_file(path))["results"]; }

}  // namespace

TEST_CASE("evaluate: boxes by VOC's and COCO's rules") {
  const TinyVoc voc;
  // Both cats found, one after a wrong box of higher score; the dog missed.
  const std::string path = voc.results(
      R"([{"image_id": "a", "category_id": 1, "bbox": [5, 5, 20, 20], "score": 0.9},
          {"image_id": "b", "category_id": 1, "bbox": [14, 14, 5, 5], "score": 0.8},
          {"image_id": "b", "category_id": 1, "bbox": [2, 2, 10, 10], "score": 0.7},
          {"image_id": "c", "category_id": 1, "bbox": [2, 2, 10, 10], "score": 0.7},
          {"image_id": "b", "category_id": 9, "bbox": [2, 2, 10, 10], "score": 0.7}])");
  const std::string out = voc.folder.path("figures.json");
  const CommandResult result = voc.evaluate("boxes", path, {"--out", out});
  REQUIRE(result.status == 0);
  // Precision 1 up to recall 1/2, then 2/3: area 1/2 + 1/2 * 2/3 = 5/6; the dog's AP is 0.
  CHECK(figures(out)["classes"]["cat"]["voc_ap50"].get<double>() == doctest::Approx(5.0 / 6));
  CHECK(figures(out)["voc_ap50"].get<double>() == doctest::Approx(5.0 / 12));
  CHECK(figures(out)["results_left_out"]["of_unknown_images"] == 1);
  CHECK(figures(out)["results_left_out"]["of_unknown_classes"] == 1);
  CHECK(contains(result.out, "cat          2      83.3"));
  CHECK(contains(result.err, "image is not in the data set"));
  // Eleven points: precision 1 at the recalls 0 to 0.5, 2/3 at the five after: (6 + 10/3) / 11.
  REQUIRE(voc.evaluate("boxes", path, {"--out", out, "--voc-rule", "eleven-points"}).status == 0);
  CHECK(figures(out)["classes"]["cat"]["voc_ap50"].get<double>() ==
        doctest::Approx((6 + 10.0 / 3) / 11));
}

TEST_CASE("evaluate: masks of objects against the truth, void pixels left out") {
  const TinyVoc voc;
  const Dataset dataset = read_dataset(voc.root, "val");
  const std::string path = voc.folder.path("masks.json"), out = voc.folder.path("figures.json");
  Instance a = mask_of_box("a", 1, 0, {5, 5, 16, 25}, {40, 30});
  Instance b = mask_of_box("b", 1, 0, {2, 2, 12, 7}, {20, 20});
  a.box = {5, 5, 25, 25};
  b.box = {2, 2, 12, 12};
  write_annotations(path, dataset, {a, b});
  REQUIRE(voc.evaluate("masks", path, {"--out", out}).status == 0);
  const json objects = figures(out)["objects"];
  REQUIRE(objects.size() == 3);
  CHECK(objects[0]["mask_iou"] == 1.0);  // the column that is too much is void
  CHECK(objects[0]["box_iou"].get<double>() == doctest::Approx(200.0 / 380));
  CHECK(objects[1]["mask_iou"] == 0.0);  // none given
  CHECK(objects[1]["box_iou"] == 1.0);
  CHECK(objects[2]["mask_iou"] == 0.5);
  CHECK(figures(out)["mean_mask_iou"] == 0.5);
  CHECK(figures(out)["objects_without_mask"] == 1);
  REQUIRE(voc.evaluate("masks", path, {"--out", out, "--only-given"}).status == 0);
  CHECK(figures(out)["mean_mask_iou"] == 0.75);
}

TEST_CASE("evaluate: masks meet their objects by class and box, whatever their positions") {
  const TinyVoc voc;
  const std::string path = voc.folder.path("masks.json"), out = voc.folder.path("figures.json");
  // Labels made with --classes dog: the dog is object 0 there, and the cat is here.
  const Dataset dogs = read_dataset(voc.root, "val", {.classes = {"dog"}});
  Instance dog = mask_of_box("a", 2, 0, {28, 3, 38, 13}, {40, 30});
  write_annotations(path, dogs, {dog});
  for (const auto& more : {std::vector<std::string>{}, {"--classes", "dog"}}) {
    REQUIRE(voc.evaluate("masks", path, with_out(more, out)).status == 0);
    CHECK(figures(out)["objects_without_mask"] == (more.empty() ? 2 : 0));
    const json objects = figures(out)["objects"];
    REQUIRE(!objects.empty());
    for (const json& object : objects)
      CHECK(object["mask_iou"] == (object["class"] == "dog" ? 1.0 : 0.0));
  }
  // Of classes that are not kept: not counted.
  REQUIRE(voc.evaluate("masks", path, {"--out", out, "--classes", "cat", "--only-given"}).status ==
          0);
  CHECK(figures(out)["objects"].empty());
  dog.box.x1 = 37;
  write_annotations(path, dogs, {dog});
  const CommandResult moved = voc.evaluate("masks", path);
  CHECK(is_error(moved, "masks.json: image a: the label of the dog at 28, 3, 37, 13 fits no"));
}

TEST_CASE("evaluate: two objects of one class and box keep their own masks") {
  Record record{.id = "1"};
  record.objects = {{.box = {1, 1, 5, 5}, .label = 2},
                    {.box = {0, 0, 4, 4}, .label = 1},
                    {.box = {0, 0, 4, 4}, .label = 1}};
  const PixelBox box{0, 0, 4, 4};
  CHECK(matching_objects(record, {{1, box, 0}, {1, box, 1}}) == std::vector<int>{1, 2});
  CHECK(matching_objects(record, {{1, box, 2}}) == std::vector<int>{2});
  CHECK(matching_objects(record, {{1, box, 2}, {1, box, 2}, {1, box, 2}}) ==
        std::vector<int>{2, 1, -1});
  CHECK(matching_objects(record, {{2, box, 1}, {0, box, 1}}) == std::vector<int>{-1, -1});
}

TEST_CASE("evaluate: difficult objects and crowds have no mask to be missed") {
  const TinyVoc voc;
  Dataset dataset = read_dataset(voc.root, "val");
  CHECK(evaluate_masks(dataset, {}, false).count() == 3);
  dataset.records[0].objects[0].difficult = true;
  CHECK(evaluate_masks(dataset, {}, false).count() == 2);
  dataset.records[0].objects[1].crowd = true;
  CHECK(evaluate_masks(dataset, {}, false).count() == 1);
}

TEST_CASE("evaluate: instances by average precision and best overlap") {
  const TinyVoc voc;
  const std::string path = voc.folder.path("instances.json");
  Instance half = mask_of_box("b", 1, -1, {2, 2, 12, 8}, {20, 20});
  half.score = 0.5;
  write_results(path, {mask_of_box("a", 1, -1, {5, 5, 15, 25}, {40, 30}), half,
                       mask_of_box("a", 2, -1, {28, 3, 38, 13}, {40, 30})});
  const std::string out = voc.folder.path("figures.json");
  REQUIRE(voc.evaluate("instances", path, {"--out", out}).status == 0);
  CHECK(figures(out)["abo"].get<double>() == doctest::Approx((0.8 + 1) / 2));
  CHECK(figures(out)["coco"]["AP50"].get<double>() == doctest::Approx(1));
  // The cats at IoU 0.7: precision 1 up to recall 1/2, 51 of the 101 points; the dog 1.
  CHECK(figures(out)["coco"]["AP70"].get<double>() == doctest::Approx((51.0 / 101 + 1) / 2));
}

TEST_CASE("evaluate: class maps by mean IoU") {
  const TinyVoc voc;
  const std::string maps = voc.folder.path("maps"), out = voc.folder.path("figures.json");
  make_folder(maps);
  Image a(40, 30, 1), b(20, 20, 1);
  bbam::test::fill(a, 5, 5, 15, 25, 1);
  bbam::test::fill(b, 2, 2, 12, 12, 2);
  CHECK(
      is_error(voc.evaluate("semantic", maps), "maps: has a class map (ID.png) of none of the 2"));
  write_label_png(maps + "/a.png", a);
  const CommandResult one = voc.evaluate("semantic", maps, {"--out", out});
  REQUIRE(one.status == 0);
  CHECK(contains(one.err, "has no map of 1 of 2 pictures"));
  CHECK(figures(out)["images"] == 1);
  CHECK(figures(out)["images_without_map"] == 1);
  write_label_png(maps + "/b.png", b);
  REQUIRE(voc.evaluate("semantic", maps, {"--out", out}).status == 0);
  const double ground = (1200. - 200 - 20 - 100 + 300) / (1200 - 200 - 20 + 300);
  CHECK(figures(out)["classes"]["background"].get<double>() == doctest::Approx(ground));
  CHECK(figures(out)["classes"]["cat"].get<double>() == doctest::Approx(200.0 / 300));
  CHECK(figures(out)["classes"]["dog"] == 0.0);
  write_label_png(maps + "/b.png", Image(21, 20, 1));
  const CommandResult other_size = voc.evaluate("semantic", maps, {"--out", out});
  REQUIRE(other_size.status == 0);
  CHECK(contains(other_size.err, "b.png: is 21 x 20; the picture is 20 x 20"));
  CHECK(contains(other_size.err, "1 of 2 images were left out"));
  CHECK(figures(out)["images"] == 1);
  CHECK(figures(out)["images_left_out"] == 1);
  write_file(maps + "/a.png", "no picture");
  CHECK(is_error(voc.evaluate("semantic", maps), "maps: none of its class maps can be compared"));
}

TEST_CASE("evaluate: a damaged true mask is told, counted, and costs its picture alone") {
  const TinyVoc voc;
  const Dataset dataset = read_dataset(voc.root, "val");
  const std::string out = voc.folder.path("figures.json"), maps = voc.folder.path("maps");
  const std::vector<Instance> masks{mask_of_box("a", 1, 0, {5, 5, 25, 25}, {40, 30}),
                                    mask_of_box("b", 1, 0, {2, 2, 12, 12}, {20, 20})};
  const std::string labels = voc.folder.path("labels.json"), found = voc.folder.path("found.json");
  write_annotations(labels, dataset, masks);
  write_results(found, masks);
  std::filesystem::copy(voc.root + "/SegmentationClass", maps);
  const std::vector<std::pair<std::string, std::string>> all{
      {"masks", labels}, {"instances", found}, {"semantic", maps}};

  for (const std::string kind : {"Object", "Class"})
    write_file(voc.root + "/Segmentation" + kind + "/a.png", "no picture");
  for (const auto& [what, results] : all) {
    INFO(what);
    const CommandResult result = voc.evaluate(what, results, {"--out", out});
    REQUIRE(result.status == 0);
    CHECK(contains(result.err, "/a.png: "));
    CHECK(contains(result.err, "1 of 2 images were left out"));
    CHECK(figures(out)["images_left_out"] == 1);
    if (what == "masks") CHECK(figures(out)["mean_mask_iou"] == 1.0);
    if (what == "instances") CHECK(figures(out)["abo"] == 1.0);
    if (what == "semantic") CHECK(figures(out)["mean_iou"] == 1.0);
  }
  for (const std::string kind : {"Object", "Class"})
    write_file(voc.root + "/Segmentation" + kind + "/b.png", "no picture");
  for (const auto& [what, results] : all) {
    INFO(what);
    CHECK(is_error(voc.evaluate(what, results), "can be compared; "));
  }
}

TEST_CASE("evaluate: a class that is filtered away is background in truth and prediction") {
  const TinyVoc voc;
  const std::string out = voc.folder.path("figures.json");
  REQUIRE(
      voc.evaluate("semantic", voc.root + "/SegmentationClass", {"--out", out, "--classes", "dog"})
          .status == 0);
  CHECK(figures(out)["classes"] == json({{"background", 1.0}, {"dog", 1.0}}));
}

TEST_CASE("evaluate: bad results files") {
  const TinyVoc voc;
  const auto error = [&](const std::string& text, const std::string& part) {
    return is_error(voc.evaluate("boxes", voc.results(text)), part);
  };
  CHECK(error("[{", "no JSON"));
  CHECK(error("{\"a\": 1}", "list of results"));
  CHECK(error("[{\"image_id\": \"a\"}]", "entry 0: has no \"category_id\""));
  CHECK(error("[{\"image_id\": 1.5, \"category_id\": 1}]", "image_id is 1.5"));
  CHECK(error("[{\"image_id\": 1, \"category_id\": 1}]", "neither bbox nor segmentation"));
  CHECK(error("[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3]}]", "bbox is [1,2,3]"));
  CHECK(error("[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, -3, 4]}]", "negative"));
  CHECK(error("[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 2, 3, 4], \"score\": \"x\"}]",
              "score"));
  CHECK(error(R"([{"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 3, 4, 5, 6]]}])",
              "size of image 1"));
  CHECK(error(R"([{"image_id": 1, "category_id": 1,
                   "segmentation": {"size": [4, 4], "counts": [3, 4]}}])",
              "entry 0"));
  CHECK(error(R"([{"image_id": "a", "category_id": 4294967297, "bbox": [1, 2, 3, 4]}])",
              "results.json: entry 0: category_id is 4294967297"));
  const std::string label = R"({"id": 7, "image_id": 1, "category_id": 1, "object": 0,)";
  for (const std::string name : {"segmentation", "ignore_segmentation"})
    CHECK(error(R"({"images": [{"id": 1, "width": 4, "height": 5}], "annotations": [)" + label +
                    R"("bbox": [1, 2, 3, 4], ")" + name +
                    R"(": {"size": [4, 5], "counts": [20]}}]})",
                "results.json: entry 0 (id 7): its mask is 5 x 4; image 1 is 4 x 5"));
  CHECK(is_error(voc.evaluate("boxes", voc.folder.path("none.json")), "none.json"));
  CHECK(is_error(voc.evaluate("instances", voc.results(R"([{"image_id": "a", "category_id": 1,
                   "bbox": [1, 2, 3, 4], "score": 1}])")),
                 "no mask"));
  CHECK(is_error(voc.evaluate("masks", voc.results(R"([{"image_id": "a", "category_id": 1,
                   "bbox": [1, 2, 3, 4]}])")),
                 "pseudo labels"));
  CHECK(is_error(run_command({"evaluate", "boxes", "x", "--data", voc.folder.path("none")}),
                 "no such folder"));
  CHECK(is_error(voc.evaluate("boxes", voc.results("[]"), {"--classes", "cow"}), "cow"));
  CHECK(is_error(voc.evaluate("boxes", voc.results("[]"), {"--split", "test"}), "test"));
}

TEST_CASE("evaluate: detections need a score, labels have none") {
  const TinyVoc voc;
  const std::string mask = R"("segmentation": {"size": [30, 40], "counts": [1200]}})";
  const std::string scored = R"({"image_id": "a", "category_id": 1, "score": 0.5, )" + mask;
  const std::string bare = R"({"image_id": "a", "category_id": 1, )" + mask;
  const Dataset dataset = read_dataset(voc.root, "val");
  const std::string labels = voc.folder.path("labels.json");
  write_annotations(labels, dataset, {mask_of_box("a", 1, 0, {5, 5, 25, 25}, {40, 30})});
  for (const std::string what : {"boxes", "instances"}) {
    INFO(what);
    CHECK(is_error(voc.evaluate(what, voc.results("[" + scored + ", " + bare + "]")),
                   "results.json: entry 1: has no \"score\"; expected detections"));
    CHECK(is_error(voc.evaluate(what, labels), "labels.json: entry 0 (id 1): has no \"score\""));
  }
  CHECK(voc.evaluate("masks", labels).status == 0);
}

TEST_CASE("evaluate: a filled box has the pixels that attribution gives the box") {
  for (const PixelBox box : {PixelBox{1.5f, 0.6f, 3.4f, 9}, {0, 0, 5, 3}, {1.1f, 1, 1.3f, 2}}) {
    const PixelRect rect = pixel_rect({box.x0, box.y0, box.x1, box.y1}, 3, 5);
    const std::vector<uint8_t> mask = filled_box(box, {5, 3}).to_vector<uint8_t>();
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 5; ++x)
        CHECK(mask[size_t(y * 5 + x)] ==
              (y >= rect.y0 && y < rect.y1 && x >= rect.x0 && x < rect.x1));
  }
}

TEST_CASE("evaluate: instances survive their files") {
  TempFolder folder;
  Instance number = mask_of_box("139", 17, 2, {1, 2, 3, 5}, {8, 6});
  Instance text{
      .image_id = "2007_000032", .category = 3, .box = {0.5f, 1, 2.25f, 4}, .score = 0.25};
  write_results(folder.path("r.json"), {number, text});
  const std::vector<Instance> back = read_instances(folder.path("r.json"));
  REQUIRE(back.size() == 2);
  CHECK(back[0].image_id == "139");
  CHECK(back[0].mask == number.mask);
  CHECK(back[0].box == number.box);
  CHECK(back[1].image_id == "2007_000032");
  CHECK(back[1].score == 0.25);
  CHECK(back[1].box == text.box);
  CHECK(!back[1].mask);
  CHECK(json::parse(read_file(folder.path("r.json")))[0]["image_id"].is_number_integer());
  CHECK(image_id_json("007").is_string());
}
