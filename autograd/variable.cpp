#include "autograd/variable.h"

#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "autograd/accumulate.h"

namespace bbam {

struct Node {
  const char* name = "leaf";
  uint64_t order = 0;  // creation order: every input of a node has a smaller number
  Tensor value, grad;
  bool needs_grad = false;
  bool was_swept = false;
  std::vector<std::shared_ptr<Node>> inputs;
  BackwardFn backward;

  bool is_leaf() const { return !backward && !was_swept; }
  ~Node();
};

// Long chains would otherwise free themselves recursively and exhaust the stack. Closures hold
// Variables too, so each doomed node's closure goes only after its inputs are held by the list.
Node::~Node() {
  std::vector<std::shared_ptr<Node>> doomed = std::move(inputs);
  backward = nullptr;
  while (!doomed.empty()) {
    std::shared_ptr<Node> node = std::move(doomed.back());
    doomed.pop_back();
    if (node.use_count() != 1) continue;
    std::move(node->inputs.begin(), node->inputs.end(), std::back_inserter(doomed));
    node->inputs.clear();
    node->backward = nullptr;
  }
}

namespace {

std::atomic<uint64_t> next_order{1};
thread_local bool recording = true;

Node& checked(const std::shared_ptr<Node>& node) {
  check(node != nullptr, "an undefined Variable was used");
  return *node;
}

// All nodes that the sweep must visit, newest first: a topological order, since an op's inputs are
// always older than its output.
std::vector<std::shared_ptr<Node>> nodes_from(const std::shared_ptr<Node>& root) {
  std::vector<std::shared_ptr<Node>> order{root};
  std::unordered_set<Node*> seen{root.get()};
  for (size_t i = 0; i < order.size(); ++i) {
    const std::shared_ptr<Node> node = order[i];
    for (const auto& input : node->inputs)
      if (input->needs_grad && seen.insert(input.get()).second) order.push_back(input);
  }
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a->order > b->order; });
  return order;
}

}  // namespace

Variable::Variable(Tensor value, bool needs_grad) : node_(std::make_shared<Node>()) {
  node_->order = next_order++;
  node_->value = std::move(value);
  node_->needs_grad = needs_grad;
}

const Tensor& Variable::value() const { return checked(node_).value; }
bool Variable::needs_grad() const { return checked(node_).needs_grad; }
const Tensor& Variable::grad() const { return checked(node_).grad; }
Tensor& Variable::mutable_grad() { return checked(node_).grad; }
void Variable::clear_grad() { mutable_grad() = {}; }

Tensor& Variable::mutable_value() {
  check(checked(node_).is_leaf(), "writing to the result of ", node_->name,
        "; only leaves may change");
  return node_->value;
}

void Variable::set_needs_grad(bool needs) {
  check(checked(node_).is_leaf(), "set_needs_grad on the result of ", node_->name,
        "; only on leaves");
  node_->needs_grad = needs;
}

bool Gradients::needs(size_t input) const { return inputs_.at(input)->needs_grad; }

void Gradients::give(size_t input, Tensor gradient) {
  Node& node = *inputs_.at(input);
  if (!node.needs_grad) return;
  check(gradient.shape() == node.value.shape() && gradient.dtype() == node.value.dtype(),
        "gradient ", gradient, " for a value ", node.value, " made by ", node.name);
  if (!node.grad.defined()) {
    node.grad = std::move(gradient);
    return;
  }
  // A gradient that someone else still reads (a reshaped view of it, say) is not added to in place.
  if (!node.grad.is_sole_owner()) node.grad = node.grad.clone();
  accumulate(node.grad, gradient);
}

Variable record(const char* name, Tensor value, std::vector<Variable> inputs, BackwardFn backward) {
  Variable result(std::move(value));
  const bool needed =
      std::any_of(inputs.begin(), inputs.end(), [](const Variable& v) { return v.needs_grad(); });
  if (!needed || !recording) return result;
  result.node_->name = name;
  result.node_->needs_grad = true;
  result.node_->backward = std::move(backward);
  for (const Variable& input : inputs) result.node_->inputs.push_back(input.node_);
  return result;
}

void backward(const Variable& loss, Tensor seed) {
  check(loss.needs_grad(), "backward() from a value that depends on no parameter");
  if (!seed.defined()) {
    check(loss.value().size() == 1, "backward() from a value of shape ", loss.shape(),
          " needs a seed of that shape");
    seed = Tensor::full(loss.shape(), 1, loss.dtype(), loss.device());
  }
  check_same(seed, loss.value(), "backward(): seed and loss");
  const std::vector<std::shared_ptr<Node>> self{loss.node()};
  Gradients(self).give(0, std::move(seed));
  for (const auto& node : nodes_from(loss.node())) {
    check(!node->was_swept, "backward() a second time through ", node->name,
          ", whose history is freed; build the graph again");
    if (node->is_leaf()) continue;
    if (node->grad.defined()) {
      Gradients gradients(node->inputs);
      node->backward(node->grad, gradients);
    }
    node->grad = {};
    node->backward = nullptr;
    node->inputs.clear();
    node->was_swept = true;
  }
}

NoGrad::NoGrad() : before_(recording) { recording = false; }
NoGrad::~NoGrad() { recording = before_; }

}  // namespace bbam
