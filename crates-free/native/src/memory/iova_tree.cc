#include "memory/iova_tree.h"

#include <algorithm>
#include <utility>

#include "memory/epoch.h"

namespace mdev {

namespace {

// A change copies at most the two paths at the ends of its range and two nodes per rotation on them: below 8 per level,
// and a tree of 2^40 entries has 58 levels.
constexpr size_t kNodesPerChange = 512;

constexpr unsigned kLeft = 0;
constexpr unsigned kRight = 1;

}  // namespace

// One cache line. Readers touch `entry` and `child` only; the rest is the owner's.
struct alignas(64) IovaTree::Node {
  IovaEntry entry;
  Node* child[2];
  struct Birth {
    uint64_t version : 56;
    uint64_t height : 8;
  };
  union {
    Birth birth;
    Node* next;  // in the pool, or among the garbage: `entry` and `child` stay as they are for the readers left
  };
};

struct IovaTree::Removal {
  uint64_t first;
  uint64_t last;
  const std::function<void(const IovaEntry&)>& removed;
};

namespace {

template <typename Node>
unsigned heightOf(const Node* node) {
  return node == nullptr ? 0 : static_cast<unsigned>(node->birth.height);
}

template <typename Node>
void measure(Node* node) {
  node->birth.height = 1 + std::max(heightOf(node->child[kLeft]), heightOf(node->child[kRight]));
}

}  // namespace

IovaTree::IovaTree() = default;
IovaTree::~IovaTree() = default;

const IovaEntry* IovaTree::find(uint64_t address) const {
  const Node* node = root_.load(std::memory_order_acquire);
  while (node != nullptr) {
    if (address < node->entry.first) {
      node = node->child[kLeft];
    } else if (address > node->entry.last) {
      node = node->child[kRight];
    } else {
      return &node->entry;
    }
  }
  return nullptr;
}

const IovaEntry* IovaTree::firstFrom(uint64_t address) const {
  const IovaEntry* best = nullptr;
  const Node* node = root_.load(std::memory_order_relaxed);
  while (node != nullptr) {
    if (node->entry.last < address) {
      node = node->child[kRight];
    } else {
      best = &node->entry;
      node = node->child[kLeft];
    }
  }
  return best;
}

bool IovaTree::visitAll(const Node* node, const std::function<bool(const IovaEntry&)>& visit) {
  return node == nullptr ||
         (visitAll(node->child[kLeft], visit) && visit(node->entry) && visitAll(node->child[kRight], visit));
}

void IovaTree::forEach(const std::function<bool(const IovaEntry&)>& visit) const {
  visitAll(root_.load(std::memory_order_relaxed), visit);
}

unsigned IovaTree::height() const { return heightOf(root_.load(std::memory_order_relaxed)); }

void IovaTree::reserve() {
  reclaim();
  static_assert(sizeof(Node) == 64);
  pool_.reserve(kNodesPerChange);
}

void IovaTree::insert(const IovaEntry& entry) {
  ++version_;
  Node* added = pool_.take();
  added->entry = entry;
  added->child[kLeft] = added->child[kRight] = nullptr;
  added->birth = {.version = version_, .height = 1};
  ++size_;
  publish(insertInto(root_.load(std::memory_order_relaxed), added));
}

void IovaTree::erase(uint64_t first, uint64_t last, const std::function<void(const IovaEntry&)>& removed) {
  ++version_;
  publish(eraseFrom(root_.load(std::memory_order_relaxed), {first, last, removed}));
}

void IovaTree::reclaim() {
  EpochDomain& domain = EpochDomain::instance();
  if (waiting_ != nullptr && domain.passed(ticket_)) giveBack(waiting_);
  if (waiting_ == nullptr && discarded_ != nullptr) {
    waiting_ = std::exchange(discarded_, nullptr);
    ticket_ = domain.advance();
    if (domain.passed(ticket_)) giveBack(waiting_);
  }
  if (size_ == 0 && waiting_ == nullptr && discarded_ == nullptr) pool_.trim();
}

void IovaTree::publish(Node* root) {
  root_.store(root, std::memory_order_release);
  reclaim();
}

bool IovaTree::fresh(const Node* node) const { return node->birth.version == version_; }

void IovaTree::discard(Node* node) {
  if (fresh(node)) {
    pool_.give(node);
  } else {
    node->next = discarded_;
    discarded_ = node;
  }
}

void IovaTree::discardAll(Node* node, const Removal& removal) {
  if (node == nullptr) return;
  discardAll(node->child[kLeft], removal);
  discardAll(node->child[kRight], removal);
  removal.removed(node->entry);
  --size_;
  discard(node);
}

void IovaTree::giveBack(Node*& list) {
  while (list != nullptr) pool_.give(std::exchange(list, list->next));
}

// The node itself if this change made it, else a copy that takes its place.
IovaTree::Node* IovaTree::renew(Node* node) {
  if (fresh(node)) return node;
  Node* copy = pool_.take();
  copy->entry = node->entry;
  copy->child[kLeft] = node->child[kLeft];
  copy->child[kRight] = node->child[kRight];
  copy->birth = {.version = version_, .height = node->birth.height};
  discard(node);
  return copy;
}

IovaTree::Node* IovaTree::link(Node* pivot, Node* left, Node* right) {
  Node* node = renew(pivot);
  node->child[kLeft] = left;
  node->child[kRight] = right;
  measure(node);
  return node;
}

// `node` (fresh) sinks to `side`; the child on the other side takes its place.
IovaTree::Node* IovaTree::rotate(Node* node, unsigned side) {
  Node* risen = renew(node->child[1 - side]);
  node->child[1 - side] = risen->child[side];
  measure(node);
  risen->child[side] = node;
  measure(risen);
  return risen;
}

// Joins `low` behind `pivot` at `side` of `tall`, which is more than one level higher: down the spine of `tall` to a
// subtree of low's height, and at most two rotations per level on the way back.
IovaTree::Node* IovaTree::joinUnder(Node* tall, Node* pivot, Node* low, unsigned side) {
  Node* top = renew(tall);
  Node* inner = top->child[side];
  Node* joined = nullptr;
  if (heightOf(inner) <= heightOf(low) + 1) {
    joined = side == kRight ? link(pivot, inner, low) : link(pivot, low, inner);
    if (heightOf(joined) > heightOf(top->child[1 - side]) + 1) joined = rotate(joined, side);
  } else {
    joined = joinUnder(inner, pivot, low, side);
  }
  top->child[side] = joined;
  measure(top);
  return heightOf(joined) > heightOf(top->child[1 - side]) + 1 ? rotate(top, 1 - side) : top;
}

// The tree of all of `left`, then `pivot`'s entry, then all of `right`.
IovaTree::Node* IovaTree::join(Node* left, Node* pivot, Node* right) {
  if (heightOf(left) > heightOf(right) + 1) return joinUnder(left, pivot, right, kRight);
  if (heightOf(right) > heightOf(left) + 1) return joinUnder(right, pivot, left, kLeft);
  return link(pivot, left, right);
}

IovaTree::Node* IovaTree::takeLast(Node* node, Node*& last) {
  if (node->child[kRight] == nullptr) {
    last = node;
    return node->child[kLeft];
  }
  Node* left = node->child[kLeft];
  Node* rest = takeLast(node->child[kRight], last);
  return join(left, node, rest);
}

IovaTree::Node* IovaTree::joinTwo(Node* left, Node* right) {
  if (left == nullptr) return right;
  if (right == nullptr) return left;
  Node* pivot = nullptr;
  Node* rest = takeLast(left, pivot);
  return join(rest, pivot, right);
}

IovaTree::Node* IovaTree::insertInto(Node* node, Node* added) {
  if (node == nullptr) return added;
  Node* left = node->child[kLeft];
  Node* right = node->child[kRight];
  if (added->entry.first < node->entry.first) return join(insertInto(left, added), node, right);
  return join(left, node, insertInto(right, added));
}

IovaTree::Node* IovaTree::keepBelow(Node* node, const Removal& removal) {
  if (node == nullptr) return nullptr;
  Node* left = node->child[kLeft];
  Node* right = node->child[kRight];
  if (node->entry.last < removal.first) return join(left, node, keepBelow(right, removal));
  discardAll(right, removal);
  removal.removed(node->entry);
  --size_;
  discard(node);
  return keepBelow(left, removal);
}

IovaTree::Node* IovaTree::keepAbove(Node* node, const Removal& removal) {
  if (node == nullptr) return nullptr;
  Node* left = node->child[kLeft];
  Node* right = node->child[kRight];
  if (node->entry.first > removal.last) return join(keepAbove(left, removal), node, right);
  discardAll(left, removal);
  removal.removed(node->entry);
  --size_;
  discard(node);
  return keepAbove(right, removal);
}

IovaTree::Node* IovaTree::eraseFrom(Node* node, const Removal& removal) {
  if (node == nullptr) return nullptr;
  Node* left = node->child[kLeft];
  Node* right = node->child[kRight];
  if (node->entry.last < removal.first) return join(left, node, eraseFrom(right, removal));
  if (node->entry.first > removal.last) return join(eraseFrom(left, removal), node, right);
  removal.removed(node->entry);
  --size_;
  discard(node);
  Node* below = keepBelow(left, removal);
  Node* above = keepAbove(right, removal);
  return joinTwo(below, above);
}

}  // namespace mdev
