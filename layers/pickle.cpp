#include "layers/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "layers/pickle_text.h"
#include "tensor/check.h"

namespace bbam {

namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxArguments = 16;
constexpr size_t kMaxValues = size_t{1} << 21;  // a large checkpoint has some ten thousand

// Whatever weights files name. A name that is not here is refused before anything is made of it.
constexpr std::string_view kKnownGlobals[] = {
    "_codecs.encode",
    "argparse.Namespace",
    "collections.Counter",
    "collections.OrderedDict",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "torch.BFloat16Storage",
    "torch.BoolStorage",
    "torch.ByteStorage",
    "torch.DoubleStorage",
    "torch.FloatStorage",
    "torch.HalfStorage",
    "torch.IntStorage",
    "torch.LongStorage",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
};

}  // namespace

// The stack machine that a pickle is a program for. Each read_* handles one family of opcodes and
// says whether the opcode was of it; names of opcodes are those of Python's pickletools.
class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, std::string_view bytes, const std::string& what)
      : pickle_(pickle), bytes_(bytes), what_(what) {}

  void run() {
    for (;;) {
      op_at_ = at_;
      const auto op = uint8_t(take(1)[0]);
      if (op == '.') break;  // STOP
      if (!read_header(op) && !read_number(op) && !read_text(op) && !read_container(op) &&
          !read_memo(op) && !read_object(op)) {
        static constexpr char kHex[] = "0123456789abcdef";
        refuse("the opcode 0x", kHex[op >> 4], kHex[op & 15], ", which no weights need");
      }
    }
    pickle_.root_ = pop();
    if (!stack_.empty() || !marks_.empty()) refuse("it ends with values left over");
    pickle_.bytes_read_ = at_;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(what_, ": pickle, byte ", op_at_, ": ", parts...);
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_)
      refuse("cut off: ", count, " more bytes expected, ", bytes_.size() - at_, " are left");
    const std::string_view part = bytes_.substr(at_, count);
    at_ += count;
    return part;
  }
  template <class T>
  T take_number() {  // little-endian
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view take_line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) refuse("cut off within a line");
    const std::string_view line = take(end - at_);
    at_ += 1;
    return line;
  }

  // Recalled values could be copied without end; what is made stays in proportion to the input.
  void count(size_t values) {
    made_ += values;
    if (made_ > kMaxValues) refuse("more than ", kMaxValues, " values");
  }
  PickleValue* make(Kind kind) {
    count(1);
    pickle_.values_.emplace_back().kind = kind;
    return &pickle_.values_.back();
  }
  std::string_view keep(std::string text) {
    kept_bytes_ += text.size();
    if (kept_bytes_ > 4 * bytes_.size()) refuse("the same text again and again");
    return pickle_.texts_.emplace_back(std::move(text));
  }

  void push(PickleValue* value) { stack_.push_back(value); }
  void push_integer(Kind kind, int64_t integer) {
    push(make(kind));
    stack_.back()->integer = integer;
  }
  void push_real(double number) {
    push(make(Kind::kFloat));
    stack_.back()->number = number;
  }
  void push_text(Kind kind, std::string_view text) {
    push(make(kind));
    stack_.back()->text = text;
  }
  void push_items(Kind kind, std::vector<const PickleValue*> items) {
    count(items.size());
    push(make(kind));
    stack_.back()->items = std::move(items);
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* top() const {
    if (stack_.size() <= floor()) refuse("a value is taken from an empty stack");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* const value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<const PickleValue*> pop_items(size_t count) {
    if (stack_.size() - floor() < count) refuse("values are taken from an empty stack");
    std::vector<const PickleValue*> items(stack_.end() - ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) refuse("a mark is taken that was never set");
    auto items = pop_items(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  void extend(Kind kind, const std::vector<const PickleValue*>& items) {
    PickleValue* const target = top();
    if (!target->is(kind)) refuse("items are added to a ", to_string(target->kind));
    check_pairs(kind, items.size());
    count(items.size());
    target->items.insert(target->items.end(), items.begin(), items.end());
  }
  void check_pairs(Kind kind, size_t count) const {
    if (kind == Kind::kDict && count % 2 != 0) refuse("a key without its value");
  }

  bool read_header(uint8_t op);
  bool read_number(uint8_t op);
  bool read_text(uint8_t op);
  bool read_container(uint8_t op);
  bool read_memo(uint8_t op);
  bool read_object(uint8_t op);
  void push_long(std::string_view bytes);
  void put(uint64_t index);
  void get(uint64_t index);
  void push_global(std::string_view module, std::string_view name);
  void reduce();
  void build();

  Pickle& pickle_;
  const std::string_view bytes_;
  const std::string& what_;
  size_t at_ = 0, op_at_ = 0, made_ = 0, kept_bytes_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

bool PickleMachine::read_header(uint8_t op) {
  switch (op) {
    case 0x80: {  // PROTO
      const auto protocol = take_number<uint8_t>();
      if (protocol > 4) refuse("protocol ", int(protocol), "; 0 to 4 are read");
      return true;
    }
    case 0x95: {  // FRAME: how much follows, for readers that buffer
      const auto length = take_number<uint64_t>();
      if (length > bytes_.size() - at_) refuse("cut off: a frame of ", length, " bytes");
      return true;
    }
  }
  return false;
}

bool PickleMachine::read_number(uint8_t op) {
  switch (op) {
    case 'N': push(make(Kind::kNone)); return true;                            // NONE
    case 0x88: push_integer(Kind::kBool, 1); return true;                      // NEWTRUE
    case 0x89: push_integer(Kind::kBool, 0); return true;                      // NEWFALSE
    case 'J': push_integer(Kind::kInt, take_number<int32_t>()); return true;   // BININT
    case 'K': push_integer(Kind::kInt, take_number<uint8_t>()); return true;   // BININT1
    case 'M': push_integer(Kind::kInt, take_number<uint16_t>()); return true;  // BININT2
    case 0x8a: push_long(take(take_number<uint8_t>())); return true;           // LONG1
    case 0x8b: push_long(take(take_number<uint32_t>())); return true;          // LONG4
    case 'F': push_real(parse_real(take_line(), what_)); return true;          // FLOAT
    case 'G': {                                                                // BINFLOAT
      const auto big_endian = take_number<uint64_t>();
      push_real(std::bit_cast<double>(__builtin_bswap64(big_endian)));
      return true;
    }
    case 'I': {  // INT, and in protocol 0 also truth values
      const std::string_view line = take_line();
      const bool is_bool = line == "00" || line == "01";
      push_integer(is_bool ? Kind::kBool : Kind::kInt, parse_decimal(line, what_));
      return true;
    }
    case 'L': {  // LONG
      std::string_view line = take_line();
      if (line.ends_with('L')) line.remove_suffix(1);
      push_integer(Kind::kInt, parse_decimal(line, what_));
      return true;
    }
  }
  return false;
}

void PickleMachine::push_long(std::string_view bytes) {
  if (bytes.size() > 8) return push_text(Kind::kBigInt, bytes);
  uint64_t bits = !bytes.empty() && (uint8_t(bytes.back()) & 0x80) ? ~uint64_t{0} : 0;
  std::memcpy(&bits, bytes.data(), bytes.size());
  push_integer(Kind::kInt, int64_t(bits));
}

bool PickleMachine::read_text(uint8_t op) {
  switch (op) {
    case 'S': push_text(Kind::kString, keep(unquote(take_line(), what_))); return true;  // STRING
    case 'V':                                                                            // UNICODE
      push_text(Kind::kString, keep(utf8_from_raw_unicode(take_line(), what_)));
      return true;
    case 'T':                                                                        // BINSTRING
    case 'X': push_text(Kind::kString, take(take_number<uint32_t>())); return true;  // BINUNICODE
    case 'U':  // SHORT_BINSTRING
    case 0x8c:
      push_text(Kind::kString, take(take_number<uint8_t>()));
      return true;  // SHORT_BINUNICODE
    case 0x8d: push_text(Kind::kString, take(take_number<uint64_t>())); return true;  // BINUNICODE8
    case 'B': push_text(Kind::kBytes, take(take_number<uint32_t>())); return true;    // BINBYTES
    case 'C': push_text(Kind::kBytes, take(take_number<uint8_t>())); return true;  // SHORT_BINBYTES
    case 0x8e: push_text(Kind::kBytes, take(take_number<uint64_t>())); return true;  // BINBYTES8
  }
  return false;
}

bool PickleMachine::read_container(uint8_t op) {
  switch (op) {
    case '(': marks_.push_back(stack_.size()); return true;          // MARK
    case ')': push_items(Kind::kTuple, {}); return true;             // EMPTY_TUPLE
    case ']': push_items(Kind::kList, {}); return true;              // EMPTY_LIST
    case '}': push_items(Kind::kDict, {}); return true;              // EMPTY_DICT
    case 0x85: push_items(Kind::kTuple, pop_items(1)); return true;  // TUPLE1
    case 0x86: push_items(Kind::kTuple, pop_items(2)); return true;  // TUPLE2
    case 0x87: push_items(Kind::kTuple, pop_items(3)); return true;  // TUPLE3
    case 't': push_items(Kind::kTuple, pop_to_mark()); return true;  // TUPLE
    case 'l': push_items(Kind::kList, pop_to_mark()); return true;   // LIST
    case 'd': {                                                      // DICT
      auto items = pop_to_mark();
      check_pairs(Kind::kDict, items.size());
      push_items(Kind::kDict, std::move(items));
      return true;
    }
    case 'a': extend(Kind::kList, pop_items(1)); return true;   // APPEND
    case 'e': extend(Kind::kList, pop_to_mark()); return true;  // APPENDS
    case 's': extend(Kind::kDict, pop_items(2)); return true;   // SETITEM
    case 'u': extend(Kind::kDict, pop_to_mark()); return true;  // SETITEMS
  }
  return false;
}

void PickleMachine::put(uint64_t index) {
  if (memo_.size() >= kMaxValues) refuse("more than ", kMaxValues, " remembered values");
  memo_[index] = top();
}

void PickleMachine::get(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) refuse("value ", index, " is recalled but was never remembered");
  push(found->second);
}

bool PickleMachine::read_memo(uint8_t op) {
  switch (op) {
    case 'g': get(uint64_t(parse_decimal(take_line(), what_))); return true;  // GET
    case 'h': get(take_number<uint8_t>()); return true;                       // BINGET
    case 'j': get(take_number<uint32_t>()); return true;                      // LONG_BINGET
    case 'p': put(uint64_t(parse_decimal(take_line(), what_))); return true;  // PUT
    case 'q': put(take_number<uint8_t>()); return true;                       // BINPUT
    case 'r': put(take_number<uint32_t>()); return true;                      // LONG_BINPUT
    case 0x94: put(memo_.size()); return true;                                // MEMOIZE
  }
  return false;
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  const std::string full = join(module, ".", name);
  const auto* const known = std::find(std::begin(kKnownGlobals), std::end(kKnownGlobals), full);
  if (known == std::end(kKnownGlobals))
    refuse("it asks for ", full.substr(0, 200), ", which no weights need; nothing was run");
  push_text(Kind::kGlobal, *known);
}

bool PickleMachine::read_object(uint8_t op) {
  switch (op) {
    case 'c': {  // GLOBAL
      const std::string_view module = take_line();
      push_global(module, take_line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleValue *name = pop(), *module = pop();
      if (!name->is(Kind::kString) || !module->is(Kind::kString))
        refuse("a name that is no string");
      push_global(module->text, name->text);
      return true;
    }
    case 'R':                          // REDUCE: callable(*arguments)
    case 0x81: reduce(); return true;  // NEWOBJ: class(*arguments)
    case 'b': build(); return true;    // BUILD: fills in the object's state
    case 'Q': push_items(Kind::kPersistent, pop_items(1)); return true;  // BINPERSID
  }
  return false;
}

void PickleMachine::reduce() {
  const PickleValue *arguments = pop(), *callable = pop();
  if (!callable->is(Kind::kGlobal) || !arguments->is(Kind::kTuple))
    refuse("a call of a ", to_string(callable->kind), " with a ", to_string(arguments->kind));
  if (callable->text == "_codecs.encode") {  // how Python 3 writes bytes in protocols 0 to 2
    const auto& items = arguments->items;
    if (items.size() != 2 || !items[0]->is(Kind::kString) || items[1]->text != "latin1")
      refuse("bytes written as text in another way than latin1");
    return push_text(Kind::kBytes, keep(latin1_from_utf8(items[0]->text, what_)));
  }
  if (callable->text != "collections.OrderedDict") {
    if (arguments->items.size() > kMaxArguments) refuse("a call with too many arguments");
    push_items(Kind::kCall, arguments->items);
    stack_.back()->text = callable->text;
    return;
  }
  std::vector<const PickleValue*> pairs;  // Python 2 gives them as one list of [key, value]
  if (!arguments->items.empty()) {
    count(arguments->items[0]->items.size());
    for (const PickleValue* pair : arguments->items[0]->items) {
      if (pair->items.size() != 2) refuse("an OrderedDict from something else than pairs");
      pairs.insert(pairs.end(), pair->items.begin(), pair->items.end());
    }
  }
  push_items(Kind::kDict, std::move(pairs));
}

void PickleMachine::build() {
  const PickleValue* const state = pop();
  PickleValue* const object = top();
  if (object->is(Kind::kDict)) return;  // attributes of an OrderedDict: PyTorch's _metadata
  if (!object->is(Kind::kCall)) refuse("a state for a ", to_string(object->kind));
  object->state = state;
}

Pickle::Pickle(std::string_view bytes, const std::string& what) {
  PickleMachine(*this, bytes, what).run();
}

}  // namespace bbam
