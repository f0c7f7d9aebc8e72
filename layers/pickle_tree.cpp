// Reading the trees that pickle.cpp builds.
#include "layers/pickle.h"
#include "tensor/check.h"

namespace bbam {

namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxLeaves = size_t{1} << 21;
constexpr size_t kMaxNameBytes = 1024;

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i]->kind == Kind::kString && items[i]->text == key) return items[i + 1];
  return nullptr;
}

std::vector<std::string> PickleValue::groups() const {
  std::vector<std::string> names;
  if (kind != Kind::kDict) return names;
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (items[i]->kind == Kind::kString && items[i + 1]->kind == Kind::kDict)
      names.emplace_back(items[i]->text);
  return names;
}

const char* to_string(PickleValue::Kind kind) {
  static constexpr const char* kNames[] = {"none",   "bool",  "int",          "int",  "float",
                                           "string", "bytes", "tuple",        "list", "dict",
                                           "global", "call",  "persistent id"};
  return kNames[size_t(kind)];
}

std::string describe(const PickleValue& value) {
  const bool named = value.is(Kind::kCall) || value.is(Kind::kGlobal);
  return named ? std::string(value.text) : to_string(value.kind);
}

namespace {

std::string name_of_key(const PickleValue& key) {
  if (key.is(Kind::kString) || key.is(Kind::kBytes)) return std::string(key.text);
  if (key.is(Kind::kInt)) return std::to_string(key.integer);
  return join("(", to_string(key.kind), ")");
}

class LeafWalk {
 public:
  using Visit = std::function<void(const std::string&, const PickleValue&)>;
  LeafWalk(const std::string& what, const Visit& visit) : what_(what), visit_(visit) {}

  void walk(const PickleValue& value, const std::string& name, int depth) {
    check(depth <= kMaxDepth, what_, ": pickle: values nested more than ", kMaxDepth, " deep");
    check(++visited_ <= kMaxLeaves, what_, ": pickle: more than ", kMaxLeaves,
          " entries when written out");
    check(name.size() <= kMaxNameBytes, what_, ": pickle: a name of more than ", kMaxNameBytes,
          " bytes");
    const std::string prefix = name.empty() ? "" : name + ".";
    if (value.is(Kind::kDict)) {
      for (size_t i = 0; i + 1 < value.items.size(); i += 2)
        walk(*value.items[i + 1], prefix + name_of_key(*value.items[i]), depth + 1);
    } else if (value.is(Kind::kList) || value.is(Kind::kTuple)) {
      for (size_t i = 0; i < value.items.size(); ++i)
        walk(*value.items[i], prefix + std::to_string(i), depth + 1);
    } else {
      visit_(name, value);
    }
  }

 private:
  const std::string& what_;
  const Visit& visit_;
  size_t visited_ = 0;
};

}  // namespace

void for_each_leaf(const PickleValue& root, const std::string& what,
                   const std::function<void(const std::string&, const PickleValue&)>& visit) {
  LeafWalk(what, visit).walk(root, "", 0);
}

}  // namespace bbam
