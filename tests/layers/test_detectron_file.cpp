#include "layers/detectron_file.h"

#include "tests/golden.h"
#include "tests/layers/weights_files.h"

using namespace bbam;
using namespace std::string_literals;

namespace {

void read_all(const std::string& path) { read_detectron_file(path); }

TensorMap prefixed(const TensorMap& tensors, const std::string& prefix) {
  TensorMap result;
  for (const auto& [name, t] : tensors) result[prefix + name] = t;
  return result;
}

// {'x': an array with that state}, as opcodes.
std::string dict_of(const std::string& state) {
  return "}U\1xcnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR"s + state + "s.";
}
std::string dtype(const std::string& name, const std::string& order = "<") {
  return "cnumpy\ndtype\n(U\2" + name + "\x89\x88tR(K\3U\1" + order + "tb";
}

void check_refused(const std::string& bytes, const char* part) {
  const std::string message = test::message_for(bytes, read_all);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("detectron_file: what Python 2 and 3 wrote is what NumPy says") {
  const TensorMap expected = test::golden("weights_numpy").tensors;
  const DetectronFile old = read_detectron_file(test::golden_path("weights_python2.pkl"));
  test::check_equal(old.tensors, prefixed(expected, "blobs."));
  CHECK(old.groups == std::vector<std::string>{"blobs"});
  CHECK(old.ignored == std::vector<std::string>{"cfg: string"});
  for (const char* file : {"weights_protocol0.pkl", "weights_protocol4.pkl"}) {
    CAPTURE(file);
    const DetectronFile read = read_detectron_file(test::golden_path(file));
    test::check_equal(read.tensors, prefixed(expected, "model."));
    CHECK(read.ignored ==
          std::vector<std::string>{"__author__: string", "acc: numpy.core.multiarray.scalar",
                                   "matching_heuristics: bool", "n: int", "big: int", "x: float"});
  }
}

TEST_CASE("detectron_file: broken arrays are refused by name") {
  const std::string eight =
      "U\x08"
      "12345678";
  const test::TempFolder folder;
  test::put_file(folder.path("good"), dict_of("(K\1(K\2t" + dtype("f4") + "\x89" + eight + "tb"));
  CHECK(read_detectron_file(folder.path("good")).tensors.at("x").shape() == Shape{2});

  check_refused("N.", "a pickle of a none; expected a dict of arrays");
  check_refused(dict_of(""), "array 'x': an array without its state");
  check_refused(dict_of("(K\1tb"), "an array without its state");
  check_refused(dict_of("(K\1(K\3t" + dtype("f4") + "\x89" + eight + "tb"),
                "8 bytes for shape (3); expected 12");
  check_refused(dict_of("(K\1(J\xff\xff\xff\xfft" + dtype("f4") + "\x89" + eight + "tb"),
                "an extent of -1");
  check_refused(
      dict_of("(K\1(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft" + dtype("f4") + "\x89" + eight + "tb"),
      "more elements than any memory");
  check_refused(dict_of("(K\1(Nt" + dtype("f4") + "\x89" + eight + "tb"), "its shape holds a none");
  check_refused(dict_of("(K\1N" + dtype("f4") + "\x89" + eight + "tb"), "its shape is a none");
  check_refused(dict_of("(K\1(K\2t" + dtype("O8") + "\x89" + eight + "tb"), "its type is 'O8'");
  check_refused(dict_of("(K\1(K\2t" + dtype("f4", ">") + "\x89" + eight + "tb"),
                "not little-endian");
  check_refused(dict_of("(K\1(K\2tN\x89" + eight + "tb"), "its type is a none");
  check_refused(dict_of("(K\1(K\2t" + dtype("f4") + "N" + eight + "tb"), "its order is a none");
  check_refused(dict_of("(K\1(K\2t" + dtype("f4") + "\x89]tb"), "its numbers are a list");
  check_refused("}U\1xccPickle\nloads\n(U\1btRs.", "it asks for cPickle.loads");
}

TEST_CASE("detectron_file: one array under many names is not copied without end") {
  // A megabyte recalled 10000 times.
  std::string bytes = "}(U\1xcnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR"s +
                      "(K\1(J\0\0\x10\0t"s + dtype("u1") + "\x89T\0\0\x10\0"s +
                      std::string(1 << 20, 'a') + "tbq\1";
  for (int i = 0; i < 10000; ++i) bytes += "I" + std::to_string(i) + "\nh\1";
  check_refused(bytes + "u.", "out of all proportion to the file");
}

TEST_CASE("detectron_file: cut off anywhere it is refused; flipped bytes do no worse") {
  for (const char* file :
       {"weights_python2.pkl", "weights_protocol0.pkl", "weights_protocol4.pkl"}) {
    CAPTURE(file);
    const std::string bytes = read_file(test::golden_path(file));
    test::check_truncations(bytes, read_all);
    CHECK(test::count_refused(bytes, 700, read_all) > 100);
  }
}
