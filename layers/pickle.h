// Python pickles as inert trees: the part of the format that weights files need, and no more.
//
// Reads protocols 0 to 4 (https://docs.python.org/3/library/pickletools.html). Nothing is ever
// called: a class or function may be named only if it is on a short list (OrderedDict, the tensor
// and array builders of PyTorch and NumPy), and a call of it becomes a node with its arguments.
// Every other opcode or name is refused. Throws Error beginning with `what` for anything broken.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bbam {

struct PickleValue {
  enum class Kind : uint8_t {
    kNone,
    kBool,        // integer
    kInt,         // integer
    kBigInt,      // text: little-endian two's complement of more than eight bytes
    kFloat,       // number
    kString,      // text: UTF-8, or the raw bytes of a Python 2 str
    kBytes,       // text
    kTuple,       // items
    kList,        // items
    kDict,        // items: key, value, key, value, ...; also OrderedDict
    kGlobal,      // text: "module.name"
    kCall,        // text: "module.name" of what was called; items: arguments; state
    kPersistent,  // items: the one id, which the surrounding file format explains
  };

  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0;
  std::string_view text;
  std::vector<const PickleValue*> items;  // may be cyclic: bound every walk
  const PickleValue* state = nullptr;     // what BUILD gave to a kCall, or none

  // Dict entry of that string key, or nullptr.
  const PickleValue* find(std::string_view key) const;
  // The string keys of a dict whose values are dicts themselves.
  std::vector<std::string> groups() const;
  bool is(Kind k) const { return kind == k; }
  bool is_call_of(std::string_view name) const { return kind == Kind::kCall && text == name; }
};

const char* to_string(PickleValue::Kind kind);
// For listings: the kind, or the name of what is called.
std::string describe(const PickleValue& value);

// One pickle from the front of `bytes`, which must outlive it (texts are views of them).
class Pickle {
 public:
  Pickle(std::string_view bytes, const std::string& what);
  Pickle(Pickle&&) = default;
  Pickle(const Pickle&) = delete;

  const PickleValue& root() const { return *root_; }
  size_t bytes_read() const { return bytes_read_; }
  // Every value in the order of its making, reachable from the root or not.
  const std::deque<PickleValue>& values() const { return values_; }

 private:
  friend class PickleMachine;

  std::deque<PickleValue> values_;  // owns the nodes: cycles leak nothing, depth costs no stack
  std::deque<std::string> texts_;   // texts that are not views of the input
  const PickleValue* root_ = nullptr;
  size_t bytes_read_ = 0;
};

// Walks dicts, lists and tuples and calls visit(name, leaf) for all else, in order. The name joins
// keys and indices with '.': "state_dict.conv1.weight". Throws Error beginning with `what` when the
// walk is deeper, longer, or a name longer than any weights need (a cycle, a billion laughs).
void for_each_leaf(
    const PickleValue& root, const std::string& what,
    const std::function<void(const std::string& name, const PickleValue& leaf)>& visit);

}  // namespace bbam
