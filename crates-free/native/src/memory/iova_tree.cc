// Look-up, reclamation, and the beginning and end of changes. The changes are in iova_tree_change.cc.
#include "memory/iova_tree.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "memory/epoch.h"

namespace mdev {

namespace {

/// The last version given to a change of any tree.
std::atomic<uint64_t> lastVersion{0};

bool visitAll(const IovaNode* node, const std::function<bool(const IovaEntry&)>& visit) {
  for (unsigned index = 0; index < node->count; ++index) {
    if (!(isLeaf(node) ? visit(leaf(node).entry[index]) : visitAll(inner(node).child[index], visit))) return false;
  }
  return true;
}

template <typename Node>
bool wellFormed(const Node& node, bool isRoot) {
  return node.count <= Node::kCapacity && (isRoot || node.count >= Node::kLeast);
}

bool wellFormedBelow(const IovaNode* node, bool isRoot) {
  if (isLeaf(node)) {
    if (node->count == 0 || !wellFormed(leaf(node), isRoot)) return false;
    for (unsigned index = 1; index < node->count; ++index)
      if (leaf(node).key[index - 1] != leaf(node).entry[index].first) return false;
    return true;
  }
  if (node->count < 2 || !wellFormed(inner(node), isRoot)) return false;
  for (unsigned index = 0; index < node->count; ++index) {
    const IovaNode* child = inner(node).child[index];
    if (child->height + 1 != node->height || !wellFormedBelow(child, false)) return false;
    if (index > 0 && inner(node).key[index - 1] != lowest(child)) return false;
  }
  return true;
}

}  // namespace

const IovaEntry* IovaTree::find(const IovaNode* root, uint64_t address) {
  if (root == nullptr) return nullptr;
  const IovaNode* node = root;
  for (auto level = static_cast<unsigned>(root->height); level > 1; --level)
    node = inner(node).child[inner(node).rank(address)];
  const IovaEntry& entry = leaf(node).entry[leaf(node).rank(address)];
  return entry.contains(address) ? &entry : nullptr;
}

const IovaEntry* IovaTree::firstFrom(uint64_t address) const {
  const IovaNode* node = root_.load(std::memory_order_relaxed);
  if (node == nullptr) return nullptr;
  const IovaNode* behind = nullptr;  // the nearest subtree that lies above all of `node`
  while (!isLeaf(node)) {
    const unsigned index = inner(node).rank(address);
    if (index + 1 < node->count) behind = inner(node).child[index + 1];
    node = inner(node).child[index];
  }
  const unsigned index = leaf(node).rank(address);
  if (leaf(node).entry[index].last >= address) return &leaf(node).entry[index];
  if (index + 1 < node->count) return &leaf(node).entry[index + 1];
  if (behind == nullptr) return nullptr;
  while (!isLeaf(behind)) behind = inner(behind).child[0];
  return &leaf(behind).entry[0];
}

void IovaTree::forEach(const std::function<bool(const IovaEntry&)>& visit) const {
  if (const IovaNode* root = root_.load(std::memory_order_relaxed)) visitAll(root, visit);
}

bool IovaTree::consistent() const {
  const IovaNode* root = root_.load(std::memory_order_relaxed);
  return root == nullptr ? size_ == 0 : wellFormedBelow(root, true);
}

void IovaTree::reserve() {
  reclaim();
  // An erase cuts along two paths. On each level of each it makes a section, and at most two nodes for each level that
  // the remains lack when they are joined; what they lack adds up to the height, and one more per level. Twelve a
  // level. Leaves are met at the ends of the paths and where the lowest remains are joined. That what is left of the
  // tree gets a root of its own is in it: one node, where there was one level more.
  inners_.pool.reserve(12 * size_t{height() + 1});
  leaves_.pool.reserve(24);
}

void IovaTree::insert(const IovaEntry& entry) {
  begin();
  ++size_;
  IovaNode* const root = root_.load(std::memory_order_relaxed);
  if (root != nullptr) {
    publish(rooted(insertInto(root, entry)));
    return;
  }
  auto* only = make<IovaLeaf>(1);
  only->fill(&entry, 1);
  publish(only);
}

void IovaTree::erase(uint64_t first, uint64_t last, const std::function<void(const IovaEntry&)>& removed) {
  IovaNode* const root = root_.load(std::memory_order_relaxed);
  if (root == nullptr) return;
  begin();
  publish(eraseFrom(root, {first, last, removed}));
}

void IovaTree::reserveReplacing(size_t entries) {
  reclaim();
  // A copy of each node that has one of them below it. All leaves but a root are filled to kLeast.
  const size_t leaves = std::min(entries, size_ / IovaLeaf::kLeast + 1);
  leaves_.pool.reserve(leaves);
  inners_.pool.reserve(leaves * height());
}

void IovaTree::replace(uint64_t first, uint64_t last, const std::function<IovaEntry(const IovaEntry&)>& replacement) {
  IovaNode* const root = root_.load(std::memory_order_relaxed);
  if (root == nullptr) return;
  begin();
  publish(replaceIn(root, first, last, replacement));
}

void IovaTree::begin() { version_ = lastVersion.fetch_add(1, std::memory_order_relaxed) + 1; }

void IovaTree::publish(IovaNode* root) {
  // Readers know the tree by its root's version. A root left over from an earlier change, when all else was taken from
  // around it, has the version of a tree that is gone.
  const bool changed = root != root_.load(std::memory_order_relaxed);
  if (changed && root != nullptr && !fresh(root)) root = renewed(root);
  root_.store(root, std::memory_order_release);
  reclaim();
}

void IovaTree::reclaim() {
  const auto waiting = [this] { return leaves_.waiting != nullptr || inners_.waiting != nullptr; };
  const auto giveBack = [&] {
    if (!waiting() || !epochs_.passed(ticket_)) return;
    leaves_.giveBackWaiting();
    inners_.giveBackWaiting();
  };
  giveBack();
  if (!waiting() && (leaves_.discarded != nullptr || inners_.discarded != nullptr)) {
    leaves_.waiting = std::exchange(leaves_.discarded, nullptr);
    inners_.waiting = std::exchange(inners_.discarded, nullptr);
    ticket_ = epochs_.advance();
    giveBack();
  }
  if (size_ == 0 && !waiting() && leaves_.discarded == nullptr && inners_.discarded == nullptr) {
    leaves_.pool.trim();
    inners_.pool.trim();
  }
}

template <typename Node>
void IovaTree::Store<Node>::giveBackWaiting() {
  while (waiting != nullptr) pool.give(std::exchange(waiting, waiting->next));
}

}  // namespace mdev
