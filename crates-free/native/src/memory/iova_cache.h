// What one reader found last: engines walk few streams at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "memory/iova_tree.h"

namespace mdev {

/// The entries that one reader has found last in one version of one tree. Belongs to one thread at a time, which holds
/// an EpochGuard when it uses it; it may be kept from guard to guard, and used with one tree after the other. A hit
/// costs one acquiring load, of the tree's root.
class IovaCache {
 public:
  /// As IovaTree::find. What is returned is valid as long as the guard, and until the next `find`.
  const IovaEntry* find(const IovaTree& tree, uint64_t address) {
    const IovaNode* const root = tree.root();
    if (root == nullptr) return nullptr;
    const bool current = root->version == version_;
    if (current) {
      for (const IovaEntry& entry : entries_)
        if (entry.contains(address)) return &entry;
    }
    const IovaEntry* const found = IovaTree::find(root, address);
    if (found == nullptr) return nullptr;
    if (!current) {
      version_ = root->version;
      entries_.fill(*found);
    }
    next_ = next_ + 1 < kEntries ? next_ + 1 : 0;
    return &(entries_[next_] = *found);
  }

 private:
  /// Two sources, two destinations, a list of descriptors and their records.
  static constexpr size_t kEntries = 6;

  /// No tree has version 0.
  uint64_t version_ = 0;
  std::array<IovaEntry, kEntries> entries_;
  size_t next_ = 0;
};

}  // namespace mdev
