// How an IovaTree changes: nodes are split, fused and joined, and each node of the published tree is copied first.
#include <type_traits>
#include <utility>

#include "memory/iova_tree.h"

namespace mdev {

namespace {

IovaLeaf* asLeaf(IovaNode* node) { return static_cast<IovaLeaf*>(node); }
IovaInner* asInner(IovaNode* node) { return static_cast<IovaInner*>(node); }

uint64_t lowest(const IovaNode* node) {
  while (!isLeaf(node)) node = inner(node).child[0];
  return leaf(node).entry[0].first;
}

/// Where to divide `count` parts, too many for one node, of which the one at `added` is new: what grows at one end
/// leaves full nodes behind.
template <typename Node>
unsigned division(unsigned count, unsigned added) {
  if (added + 1 == count) return count - Node::kLeast;
  if (added == 0) return Node::kLeast;
  return count / 2;
}

bool underfull(const IovaNode* node) { return node->count < (isLeaf(node) ? IovaLeaf::kLeast : IovaInner::kLeast); }

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

template IovaLeaf* IovaTree::make<IovaLeaf>(unsigned height);

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

// --- Changes ---

IovaTree::Pair IovaTree::insertInto(IovaNode* node, const IovaEntry& entry) {
  if (isLeaf(node)) {
    const unsigned index = leaf(node).rank(entry.first);
    const unsigned place = leaf(node).entry[index].first < entry.first ? index + 1 : index;
    return spliced(asLeaf(node), place, place, &entry, 1);
  }
  const unsigned index = inner(node).rank(entry.first);
  return spliceNodes(asInner(node), index, index + 1, insertInto(inner(node).child[index], entry));
}

void IovaTree::drop(const IovaEntry& entry, const Removal& removal) {
  removal.removed(entry);
  --size_;
}

void IovaTree::discardAll(IovaNode* node, const Removal& removal) {
  if (isLeaf(node)) {
    for (unsigned index = 0; index < node->count; ++index) drop(leaf(node).entry[index], removal);
    discard(asLeaf(node));
    return;
  }
  for (unsigned index = 0; index < node->count; ++index) discardAll(inner(node).child[index], removal);
  discard(asInner(node));
}

IovaNode* IovaTree::eraseFromLeaf(IovaLeaf* node, const Removal& removal) {
  IovaParts<IovaLeaf> parts;
  for (unsigned index = 0; index < node->count; ++index) {
    const IovaEntry& entry = node->entry[index];
    if (entry.first < removal.first || entry.first > removal.last) {
      parts.append(entry);
    } else {
      drop(entry, removal);
    }
  }
  if (parts.count == node->count) return node;
  if (parts.count > 0) return spread<IovaLeaf>(parts, 0, node, nullptr).left;
  discard(node);
  return nullptr;
}

// The tree without what lies at or above the removal's first address. Never higher than `node`.
IovaNode* IovaTree::keepBelow(IovaNode* node, const Removal& removal) {
  if (isLeaf(node)) return eraseFromLeaf(asLeaf(node), removal);
  const unsigned index = inner(node).rank(removal.first);
  for (unsigned above = index + 1; above < node->count; ++above) discardAll(inner(node).child[above], removal);
  IovaNode* const rest = keepBelow(inner(node).child[index], removal);
  return join(children(asInner(node), 0, index), rest);
}

// The tree without what lies at or below the removal's last address.
IovaNode* IovaTree::keepAbove(IovaNode* node, const Removal& removal) {
  if (isLeaf(node)) return eraseFromLeaf(asLeaf(node), removal);
  const unsigned index = inner(node).rank(removal.last);
  for (unsigned below = 0; below < index; ++below) discardAll(inner(node).child[below], removal);
  IovaNode* const rest = keepAbove(inner(node).child[index], removal);
  return join(rest, children(asInner(node), index + 1, static_cast<unsigned>(node->count)));
}

IovaNode* IovaTree::eraseFrom(IovaNode* node, const Removal& removal) {
  if (isLeaf(node)) return eraseFromLeaf(asLeaf(node), removal);
  IovaInner* const top = asInner(node);
  unsigned from = top->rank(removal.first);
  unsigned to = top->rank(removal.last) + 1;
  Pair rest{};
  if (to - from == 1) {
    rest.left = eraseFrom(top->child[from], removal);
    if (rest.left == top->child[from]) return node;
  } else {
    for (unsigned between = from + 1; between + 1 < to; ++between) discardAll(top->child[between], removal);
    IovaNode* const below = keepBelow(top->child[from], removal);
    IovaNode* const above = keepAbove(top->child[to - 1], removal);
    rest =
        below != nullptr && above != nullptr ? joinPair(below, above) : Pair{below != nullptr ? below : above, nullptr};
  }

  const auto count = static_cast<unsigned>(top->count);
  const bool low = rest.left != nullptr && rest.left->height + 1 < top->height;
  if (low) rest = {rooted(rest), nullptr};
  if (rest.left != nullptr && rest.right == nullptr && (rest.left->height + 1 < top->height || underfull(rest.left))) {
    // It cannot stand alone beside what is left of this node's children.
    if (from > 0) {
      rest = joinPair(top->child[--from], rest.left);
    } else if (to < count) {
      rest = joinPair(rest.left, top->child[to++]);
    }
  }
  const unsigned parts = (rest.left != nullptr ? 1 : 0) + (rest.right != nullptr ? 1 : 0) + count - (to - from);
  if (parts >= 2) return spliceNodes(top, from, to, rest).left;
  IovaNode* const only = rest.left != nullptr ? rest.left
                         : from > 0           ? top->child[0]
                         : to < count         ? top->child[count - 1]
                                              : nullptr;
  discard(top);
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

IovaNode* IovaTree::replaceIn(IovaNode* node, uint64_t first, uint64_t last,
                              const std::function<IovaEntry(const IovaEntry&)>& replacement) {
  if (isLeaf(node)) {
    IovaParts<IovaLeaf> parts;
    bool changed = false;
    for (unsigned index = 0; index < node->count; ++index) {
      const IovaEntry& entry = leaf(node).entry[index];
      const bool inside = first <= entry.first && entry.last <= last;
      parts.append(inside ? replacement(entry) : entry);
      changed = changed || inside;
    }
    return changed ? spread<IovaLeaf>(parts, 0, asLeaf(node), nullptr).left : node;
  }
  IovaParts<IovaInner> parts;
  parts.append(inner(node), 0, static_cast<unsigned>(node->count));
  bool changed = false;
  for (unsigned index = inner(node).rank(first); index <= inner(node).rank(last); ++index) {
    IovaNode*& child = parts.part[index].node;
    IovaNode* const before = child;
    child = replaceIn(before, first, last, replacement);
    changed = changed || child != before;
  }
  return changed ? spread<IovaInner>(parts, 0, asInner(node), nullptr).left : node;
}

}  // namespace mdev
