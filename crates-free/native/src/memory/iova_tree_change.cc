// How an IovaTree changes: entries are added, taken away and replaced. What that does to nodes is in
// iova_tree_nodes.cc.
#include "memory/iova_tree.h"

namespace mdev {

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
