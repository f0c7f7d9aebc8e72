#include "layers/pickle.h"

#include <doctest/doctest.h>

#include <limits>

#include "layers/pickle_text.h"
#include "tensor/check.h"
#include "tensor/random.h"

using namespace bbam;
using namespace std::string_literals;
using Kind = PickleValue::Kind;

namespace {

// The tree written as Python would, to compare whole pickles at once.
std::string show(const PickleValue& value) {
  const auto list = [&](const char* open, const char* close) {
    std::string text = open;
    for (size_t i = 0; i < value.items.size(); ++i) text += (i ? "," : "") + show(*value.items[i]);
    return text + close;
  };
  switch (value.kind) {
    case Kind::kNone: return "None";
    case Kind::kBool: return value.integer ? "True" : "False";
    case Kind::kInt: return std::to_string(value.integer);
    case Kind::kBigInt: return join("big", value.text.size());
    case Kind::kFloat: return join(value.number);
    case Kind::kString: return join("'", value.text, "'");
    case Kind::kBytes: return join("b'", value.text, "'");
    case Kind::kTuple: return list("(", ")");
    case Kind::kList: return list("[", "]");
    case Kind::kDict: return list("{", "}");
    case Kind::kGlobal: return std::string(value.text);
    case Kind::kCall:
      return std::string(value.text) + list("(", ")") +
             (value.state ? "<-" + show(*value.state) : "");
    case Kind::kPersistent: return "@" + list("", "");
  }
  return "?";
}

std::string shown(const std::string& bytes) { return show(Pickle(bytes, "f").root()); }

std::string refusal(const std::string& bytes) {
  try {
    const Pickle pickle(bytes, "f");
    for_each_leaf(pickle.root(), "f", [](const std::string&, const PickleValue&) {});
  } catch (const Error& error) {
    CHECK(std::string(error.what()).starts_with("f: "));
    return error.what();
  }
  return "was read";
}

void check_refused(const std::string& bytes, const char* part) {
  const std::string message = refusal(bytes);
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("pickle: every kind of number and text") {
  CHECK(shown("(NI-12\nI01\nI00\nL1099511627776L\nF-0.5\nt.") ==
        "(None,-12,True,False,1099511627776,-0.5)");
  CHECK(shown("\x80\x02(K\xffM\x01\x02J\xff\xff\xff\xff\x88\x89t."s) == "(255,513,-1,True,False)");
  CHECK(shown("(G\x3f\xf8\0\0\0\0\0\0G\xff\xf0\0\0\0\0\0\0t."s) == "(1.5,-inf)");
  CHECK(shown("(\x8a\0\x8a\x01\x80\x8a\x02\x80\0\x8b\x03\0\0\0\xff\xff\xff\x8a\x09"
              "123456789t."s) == "(0,-128,128,-1,big9)");
  CHECK(shown("(S'it\\'s\\x41\\n\\\\'\nU\x02hiT\x03\0\0\0abct."s) == "('it'sA\n\\','hi','abc')");
  CHECK(shown("(V\xe9\\u20ac\nX\x02\0\0\0\xc3\xa9\x8c\x01z\x8d\x01\0\0\0\0\0\0\0yt."s) ==
        "('\xc3\xa9\xe2\x82\xac','\xc3\xa9','z','y')");
  CHECK(shown("(B\x01\0\0\0aC\x01"
              "b\x8e\x01\0\0\0\0\0\0\0ct."s) == "(b'a',b'b',b'c')");
}

TEST_CASE("pickle: containers, memory and frames") {
  CHECK(shown(")."
              "") == "()");
  CHECK(shown("(K\x01K\x02lK\x03"
              "a(K\x04K\x05"
              "e.") == "[1,2,3,4,5]");
  CHECK(shown("(K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87t.") == "((1),(1,2),(1,2,3))");
  CHECK(shown("}K\x01Ns(K\x02NK\x03Nu.") == "{1,None,2,None,3,None}");
  CHECK(shown("(K\x01Nd.") == "{1,None}");
  CHECK(shown("(U\x01xp7\ng7\nq\x08h\x08r\x09\0\0\0j\x09\0\0\0t."s) == "('x','x','x','x')");
  CHECK(shown("\x80\x04\x95\x07\0\0\0\0\0\0\0(K\x01\x94h\0t."s) == "(1,1)");
}

TEST_CASE("pickle: calls stay calls; OrderedDict is a dict; bytes in text are bytes") {
  CHECK(shown("ctorch._utils\n_rebuild_tensor\n(K\x01K\x02tR.") ==
        "torch._utils._rebuild_tensor(1,2)");
  CHECK(shown("\x8c\x05numpy\x8c\x05"
              "dtype\x93\x8c\x02"
              "f4\x85R(K\x03tb.") == "numpy.dtype('f4')<-(3)");
  CHECK(shown("cargparse\nNamespace\n)\x81}b.") == "argparse.Namespace()<-{}");
  CHECK(shown("U\x01kQ.") == "@'k'");
  const std::string ordered = "ccollections\nOrderedDict\n";
  CHECK(shown(ordered + ")R(U\x01xK\x01u}b.") == "{'x',1}");
  CHECK(shown(ordered + "(((U\x01xK\x01l(U\x01yK\x02lltR.") == "{'x',1,'y',2}");
  CHECK(shown("c_codecs\nencode\n(X\x03\0\0\0a\xc3\xbfU\x06latin1tR."s) == "b'a\xff'");
}

TEST_CASE("pickle: the bytes after STOP are left for the next") {
  const std::string two = "K\x01.K\x02.";
  const Pickle first(two, "f");
  CHECK(first.bytes_read() == 3);
  CHECK(show(Pickle(std::string_view(two).substr(3), "f").root()) == "2");
}

TEST_CASE("pickle: code is named and refused") {
  check_refused("cos\nsystem\n(U\x02lstR.", "byte 0: it asks for os.system, which no weights need");
  check_refused(
      "\x8c\x08"
      "builtins\x8c\x04"
      "eval\x93.",
      "it asks for builtins.eval");
  check_refused("ctorch.nn\nLinear\n.", "it asks for torch.nn.Linear");
  check_refused("ctorch\n_utils._rebuild_tensor_v2.eval\n.",
                "torch._utils._rebuild_tensor_v2.eval");
  check_refused("(U\x02lsios\nsystem\n.", "the opcode 0x69");  // INST
  check_refused("\x82\x01.", "the opcode 0x82");               // EXT1
  check_refused("\x80\x05.", "protocol 5; 0 to 4");
  check_refused("K\x01)R.", "a call of a int with a tuple");
  check_refused("cnumpy\nndarray\nK\x01R.", "a call of a global with a int");
  check_refused(
      "K\x01K\x02"
      "b.",
      "a state for a int");
  check_refused("K\x01K\x02\x93.", "a name that is no string");
  check_refused("c_codecs\nencode\n(X\x02\0\0\0abU\x03hextR."s, "in another way than latin1");
  check_refused("c_codecs\nencode\n(X\x03\0\0\0\xe2\x82\xacU\x06latin1tR."s, "above 255");
}

TEST_CASE("pickle: broken programs have their messages") {
  check_refused("", "cut off: 1 more bytes expected, 0 are left");
  check_refused(".", "empty stack");
  check_refused("K\x01K\x02.", "values left over");
  check_refused("(K\x01.", "values left over");
  check_refused("K\x01(.", "empty stack");
  check_refused("K\x01\x86.", "empty stack");
  check_refused("t.", "a mark is taken that was never set");
  check_refused(
      "K\x01K\x02"
      "a.",
      "items are added to a int");
  check_refused("](K\x01u.", "items are added to a list");
  check_refused("}(K\x01u.", "a key without its value");
  check_refused(
      "(K\x01"
      "d.",
      "a key without its value");
  check_refused("h\x07.", "value 7 is recalled but was never remembered");
  check_refused(
      "T\xff\xff\xff\xff"
      "a.",
      "cut off: 4294967295 more bytes");
  check_refused("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut off");
  check_refused("\x95\xff\xff\xff\xff\xff\xff\xff\xffK\x01.", "cut off: a frame of");
  check_refused("\x8b\xff\xff\xff\xff.", "cut off");
  check_refused("I12", "cut off within a line");
  check_refused("I99999999999999999999\n.", "'99999999999999999999' is not a number");
  check_refused("Fx\n.", "'x' is not a number");
  check_refused("S'a\n.", "without its quotes");
  check_refused("S'a\\'\n.", "ends within an escape");
  check_refused("S'\\xzz'\n.", "'zz' is not a number");
  check_refused("S'\\q'\n.", "the escape \\q");
  check_refused("S'\\x4'\n.", "ends within an escape");
  check_refused("V\\u12\n.", "ends within an escape");
  check_refused("ccollections\nOrderedDict\n((K\x01ltR.", "something else than pairs");
}

TEST_CASE("pickle: small files cannot make large trees") {
  // Ten levels of ten references to the level before: 10^10 leaves when written out.
  std::string laughs = "((K\1K\1K\1K\1K\1tq\1";
  for (int level = 0; level < 10; ++level) laughs += "(h\1h\1h\1h\1h\1h\1h\1h\1h\1h\1tq\1";
  check_refused(laughs + "t.", "entries when written out");
  check_refused(
      "]q\x01h\x01"
      "a.",
      "nested more than 64 deep");
  check_refused(std::string(100000, ']') + std::string(99999, 'a') + ".",
                "nested more than 64 deep");
  check_refused("(" + std::string(3'000'000, 'N') + "t.", "more than 2097152 values");
  // One long tuple, recalled as the arguments of call after call.
  std::string calls = "(" + std::string(1000, 'N') + "tq\x01(";
  for (int i = 0; i < 5000; ++i) calls += "ccollections\nCounter\n(h\x01tR";
  CHECK(refusal(calls + "t\x86.") == "was read");
  check_refused("(" + std::string(1000, 'N') +
                    "tq\x01"
                    "0ccollections\nCounter\nh\x01R.",
                "opcode 0x30");
  check_refused("ccollections\nCounter\n(" + std::string(1000, 'N') + "tR.", "too many arguments");
  // One long text, recoded again and again.
  std::string text =
      "(X\x10\x27\0\0"s + std::string(10000, 'a') + "q\1U\6latin1q\2c_codecs\nencode\nq\3";
  for (int i = 0; i < 1000; ++i) text += "h\3(h\1h\2tR";
  check_refused(text + "t.", "the same text again and again");
  // Names that grow with every level.
  std::string names = "(Nq\2";
  for (int i = 0; i < 50; ++i) names += "}U\x64" + std::string(100, 'k') + "h\2sq\2";
  check_refused(names + "t.", "a name of more than 1024 bytes");
}

TEST_CASE("pickle: names join keys and indices") {
  const std::string bytes =
      "}(U\x01"
      "aK\x01U\x01"
      "b(K\x02}K\x07K\x03stNK\x04u.";
  const Pickle pickle(bytes, "f");
  std::string seen;
  for_each_leaf(pickle.root(), "f", [&](const std::string& name, const PickleValue& leaf) {
    seen += join(name, "=", leaf.integer, " ");
  });
  CHECK(seen == "a=1 b.0=2 b.1.7=3 (none)=4 ");
  CHECK(pickle.root().find("a")->integer == 1);
  CHECK(pickle.root().find("c") == nullptr);
  CHECK(pickle.root().groups().empty());
}
