// The nodes of an IovaTree: what they hold, and the search in one of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "memory/iova_entry.h"

namespace mdev {

/// A node's parts, entries or children, lie in ascending order; key n is the lowest address of part n + 1.
struct IovaNode {
  /// Never used as a key of a part: the filling behind the last key.
  static constexpr uint64_t kNoKey = ~uint64_t{0};

  /// Number of the change that made the node.
  uint64_t version : 48;
  /// 1: a leaf.
  uint64_t height : 8;
  /// Of its parts.
  uint64_t count : 8;
};

/// Keys begin behind the header in the node's first cache line and fill `kLines` of them: 7, then 8 in each.
template <unsigned kLines>
struct alignas(64) IovaKeys : IovaNode {
  static constexpr unsigned kKeys = 8 * kLines - 1;
  static constexpr unsigned kCapacity = kKeys;
  uint64_t key[kKeys];

  /// The part that holds `address`, if any does. Reads two cache lines at most where there are four, without a jump
  /// that depends on a key.
  unsigned rank(uint64_t address) const {
    unsigned line = 0;
    for (unsigned head = 7; head < kKeys; head += 8) line += key[head] <= address ? 1 : 0;
    const uint64_t* const keys = key + 8 * line;
    unsigned below = 0;
    for (unsigned index = 0; index < 7; ++index) below += keys[index] <= address ? 1 : 0;
    const unsigned found = 8 * line + below;
    // Only the highest address of all compares with the filling.
    return address != kNoKey ? found : std::min<unsigned>(found, static_cast<unsigned>(count) - 1);
  }
};

struct IovaLeaf : IovaKeys<2> {
  using Part = IovaEntry;
  /// Fewest parts, except in a root.
  static constexpr unsigned kLeast = 4;
  IovaEntry entry[kCapacity];
  IovaLeaf* next;  ///< in the pool, or among the garbage, while readers may still look at the rest

  Part part(unsigned index) const { return entry[index]; }
  void fill(const Part* parts, unsigned number) {
    count = number;
    std::copy_n(parts, number, entry);
    for (unsigned index = 0; index < kKeys; ++index) key[index] = index + 1 < number ? parts[index + 1].first : kNoKey;
  }
};

struct IovaInner : IovaKeys<4> {
  struct Part {
    uint64_t lowest;
    IovaNode* node;
  };
  static constexpr unsigned kLeast = 8;
  IovaNode* child[kCapacity];
  IovaInner* next;

  /// The lowest address of part 0 is not known here.
  Part part(unsigned index) const { return {index == 0 ? 0 : key[index - 1], child[index]}; }
  void fill(const Part* parts, unsigned number) {
    count = number;
    for (unsigned index = 0; index < number; ++index) child[index] = parts[index].node;
    for (unsigned index = 0; index < kKeys; ++index) key[index] = index + 1 < number ? parts[index + 1].lowest : kNoKey;
  }
};

static_assert(sizeof(IovaLeaf) == 640 && sizeof(IovaInner) == 512);

inline const IovaLeaf& leaf(const IovaNode* node) { return *static_cast<const IovaLeaf*>(node); }
inline const IovaInner& inner(const IovaNode* node) { return *static_cast<const IovaInner*>(node); }
inline IovaLeaf* asLeaf(IovaNode* node) { return static_cast<IovaLeaf*>(node); }
inline IovaInner* asInner(IovaNode* node) { return static_cast<IovaInner*>(node); }
inline bool isLeaf(const IovaNode* node) { return node->height == 1; }

/// Has fewer parts than any node but a root may have.
inline bool underfull(const IovaNode* node) {
  return node->count < (isLeaf(node) ? IovaLeaf::kLeast : IovaInner::kLeast);
}

/// The lowest address of what is below a node.
inline uint64_t lowest(const IovaNode* node) {
  while (!isLeaf(node)) node = inner(node).child[0];
  return leaf(node).entry[0].first;
}

/// The parts of up to two nodes and one more, while they are rearranged.
template <typename Node>
struct IovaParts {
  typename Node::Part part[2 * Node::kCapacity + 1];
  unsigned count = 0;

  void append(const typename Node::Part& added) { part[count++] = added; }
  void append(const Node& node, unsigned from, unsigned to) {
    for (; from < to; ++from) append(node.part(from));
  }
  /// Puts `added` in the place of those in [from, to).
  void splice(unsigned from, unsigned to, const typename Node::Part* added, unsigned number) {
    if (from + number > to) {
      std::copy_backward(part + to, part + count, part + count + (from + number - to));
    } else {
      std::copy(part + to, part + count, part + from + number);
    }
    std::copy_n(added, number, part + from);
    count = count - (to - from) + number;
  }
};

}  // namespace mdev
