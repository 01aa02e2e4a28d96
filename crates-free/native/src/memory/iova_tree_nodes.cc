// The nodes of an IovaTree that changes: split, fused and joined, and each one of the published tree copied first.
#include <type_traits>
#include <utility>

#include "memory/iova_tree.h"

namespace mdev {

namespace {

/// Where to divide `count` parts, too many for one node, of which the one at `added` is new: what grows at one end
/// leaves full nodes behind.
template <typename Node>
unsigned division(unsigned count, unsigned added) {
  if (added + 1 == count) return count - Node::kLeast;
  if (added == 0) return Node::kLeast;
  return count / 2;
}

}  // namespace

// --- Nodes ---

template <>
IovaTree::Store<IovaLeaf>& IovaTree::storeOf<IovaLeaf>() {
  return leaves_;
}

template <>
IovaTree::Store<IovaInner>& IovaTree::storeOf<IovaInner>() {
  return inners_;
}

template <typename Node>
Node* IovaTree::make(unsigned height) {
  Node* node = storeOf<Node>().pool.take();
  node->version = version_;
  node->height = height;
  node->count = 0;
  return node;
}

// The node is no longer part of the tree. Its content stays for the readers left, and until the next `make` for the
// owner.
template <typename Node>
void IovaTree::discard(Node* node) {
  Store<Node>& store = storeOf<Node>();
  if (fresh(node)) {
    store.pool.give(node);
  } else {
    node->next = std::exchange(store.discarded, node);
  }
}

// The node itself if this change made it, else a new one in its place. To be filled.
template <typename Node>
Node* IovaTree::blank(Node* node) {
  if (fresh(node)) return node;
  const auto height = static_cast<unsigned>(node->height);
  discard(node);
  return make<Node>(height);
}

// The parts as one node or, if they are too many, two, of which the first gets `left`. They take the place of `first`
// and, if it is not null, `second`.
template <typename Node>
IovaTree::Pair IovaTree::spread(const IovaParts<Node>& parts, unsigned left, Node* first, Node* second) {
  const bool one = parts.count <= Node::kCapacity;
  const auto height = static_cast<unsigned>(first->height);
  Node* const low = blank(first);
  low->fill(parts.part, one ? parts.count : left);
  if (one) {
    if (second != nullptr) discard(second);
    return {low, nullptr};
  }
  Node* const high = second != nullptr ? blank(second) : make<Node>(height);
  high->fill(parts.part + left, parts.count - left);
  return {low, high};
}

// The node with its parts in [from, to) replaced by at most one part more than they are.
template <typename Node>
IovaTree::Pair IovaTree::spliced(Node* node, unsigned from, unsigned to, const typename Node::Part* added,
                                 unsigned number) {
  IovaParts<Node> parts;
  parts.append(*node, 0, static_cast<unsigned>(node->count));
  parts.splice(from, to, added, number);
  return spread<Node>(parts, division<Node>(parts.count, from + number - 1), node, nullptr);
}

IovaTree::Pair IovaTree::spliceNodes(IovaInner* node, unsigned from, unsigned to, Pair added) {
  IovaInner::Part parts[2];
  unsigned number = 0;
  for (IovaNode* one : {added.left, added.right})
    if (one != nullptr) parts[number++] = {lowest(one), one};
  return spliced<IovaInner>(node, from, to, parts, number);
}

// Neighbours of one height, either of which may have too few parts: as they are, or as one node, or evenly filled.
template <typename Node>
IovaTree::Pair IovaTree::fuse(Node* low, Node* high) {
  if (!underfull(low) && !underfull(high)) return {low, high};
  IovaParts<Node> parts;
  parts.append(*low, 0, static_cast<unsigned>(low->count));
  const unsigned seam = parts.count;
  parts.append(*high, 0, static_cast<unsigned>(high->count));
  if constexpr (std::is_same_v<Node, IovaInner>) parts.part[seam].lowest = lowest(high);
  return spread<Node>(parts, parts.count / 2, low, high);
}

// The node with only its parts in [from, to), of which there is one at least.
template <typename Node>
Node* IovaTree::section(Node* node, unsigned from, unsigned to) {
  if (from == 0 && to == node->count) return node;
  IovaParts<Node> parts;
  parts.append(*node, from, to);
  Node* rest = blank(node);
  rest->fill(parts.part, parts.count);
  return rest;
}

// A tree of the node's children in [from, to), in place of the node; null if there are none.
IovaNode* IovaTree::children(IovaInner* node, unsigned from, unsigned to) {
  if (to - from >= 2) return section(node, from, to);
  IovaNode* const only = from < to ? node->child[from] : nullptr;
  discard(node);
  return only;
}

// A copy in place of the node, of this change's own.
IovaNode* IovaTree::renewed(IovaNode* root) {
  const auto copied = [this](auto* node) -> IovaNode* {
    IovaParts<std::remove_pointer_t<decltype(node)>> parts;
    parts.append(*node, 0, static_cast<unsigned>(node->count));
    auto* const own = blank(node);
    own->fill(parts.part, parts.count);
    return own;
  };
  return isLeaf(root) ? copied(asLeaf(root)) : copied(asInner(root));
}

// --- Joining. A tree's root may have too few parts, an inner one at least two; no other node may. ---

// Trees one above the other: one or two nodes, as high as the higher one. Two are both filled well enough.
IovaTree::Pair IovaTree::joinPair(IovaNode* low, IovaNode* high) {
  if (low->height == high->height)
    return isLeaf(low) ? fuse(asLeaf(low), asLeaf(high)) : fuse(asInner(low), asInner(high));
  if (low->height > high->height) {
    IovaInner* const top = asInner(low);
    const auto count = static_cast<unsigned>(top->count);
    return spliceNodes(top, count - 1, count, joinPair(top->child[count - 1], high));
  }
  IovaInner* const top = asInner(high);
  return spliceNodes(top, 0, 1, joinPair(low, top->child[0]));
}

IovaNode* IovaTree::rooted(Pair pair) {
  if (pair.right == nullptr) return pair.left;
  auto* root = make<IovaInner>(heightOf(pair.left) + 1);
  const IovaInner::Part parts[] = {{0, pair.left}, {lowest(pair.right), pair.right}};
  root->fill(parts, 2);
  return root;
}

IovaNode* IovaTree::join(IovaNode* low, IovaNode* high) {
  if (low == nullptr) return high;
  return high == nullptr ? low : rooted(joinPair(low, high));
}

// --- What changes use ---

template IovaLeaf* IovaTree::make(unsigned height);
template void IovaTree::discard(IovaLeaf* node);
template void IovaTree::discard(IovaInner* node);
template IovaTree::Pair IovaTree::spread(const IovaParts<IovaLeaf>& parts, unsigned left, IovaLeaf* first,
                                         IovaLeaf* second);
template IovaTree::Pair IovaTree::spread(const IovaParts<IovaInner>& parts, unsigned left, IovaInner* first,
                                         IovaInner* second);
template IovaTree::Pair IovaTree::spliced(IovaLeaf* node, unsigned from, unsigned to, const IovaEntry* added,
                                          unsigned number);

}  // namespace mdev
