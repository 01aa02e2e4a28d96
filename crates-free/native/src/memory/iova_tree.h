// The DMA maps of one space as a persistent balanced tree: changed by one thread, read by any without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "memory/node_pool.h"

namespace mdev {

class MemoryFile;

/// One DMA map: the IOVA interval [first, last], both ends included, so that it can end at 2^64 - 1.
struct IovaEntry {
  uint64_t first;
  uint64_t last;
  /// Offset of `first` in the file; 0 without a file.
  uint64_t offset;
  /// Null when the memory is reached by message. Not owned.
  MemoryFile* file;
  uint32_t rights;
};

/// Disjoint intervals in an AVL tree. A change copies the nodes on its path and publishes the new root at once; the
/// replaced nodes go back to the pool when the epoch domain says that no reader can see them.
class IovaTree {
 public:
  IovaTree();
  /// No reader may be left.
  ~IovaTree();
  IovaTree(const IovaTree&) = delete;
  IovaTree& operator=(const IovaTree&) = delete;

  /// Any thread that holds an EpochGuard (and the owner): the entry that contains `address`, or null. Valid as long as
  /// the guard; for the owner, until its next change.
  const IovaEntry* find(uint64_t address) const;

  // --- Owner thread ---

  /// The lowest entry that ends at or behind `address`, or null.
  const IovaEntry* firstFrom(uint64_t address) const;
  size_t size() const { return size_; }
  /// All entries in ascending order, until `visit` returns false. It must not change the tree.
  void forEach(const std::function<bool(const IovaEntry&)>& visit) const;
  /// Allocates what the next insert or erase needs, so that neither throws. May throw std::bad_alloc.
  void reserve();
  /// Adds an entry that overlaps none. Needs `reserve`.
  void insert(const IovaEntry& entry);
  /// Removes all entries inside [first, last], in one publication, and calls `removed` for each, in no particular
  /// order. No entry may straddle the range's ends. Needs `reserve`, except when the range holds all entries.
  void erase(uint64_t first, uint64_t last, const std::function<void(const IovaEntry&)>& removed);
  /// Takes back the nodes that no reader can see any more. insert and erase do it too.
  void reclaim();
  /// Levels from the root to the deepest leaf: at most 1.45 log2(size + 2).
  unsigned height() const;

 private:
  struct Node;
  struct Removal;

  static bool visitAll(const Node* node, const std::function<bool(const IovaEntry&)>& visit);
  bool fresh(const Node* node) const;
  void discard(Node* node);
  void discardAll(Node* node, const Removal& removal);
  void giveBack(Node*& list);
  Node* renew(Node* node);
  Node* link(Node* pivot, Node* left, Node* right);
  Node* rotate(Node* node, unsigned side);
  Node* joinUnder(Node* tall, Node* pivot, Node* low, unsigned side);
  Node* join(Node* left, Node* pivot, Node* right);
  Node* takeLast(Node* node, Node*& last);
  Node* joinTwo(Node* left, Node* right);
  Node* insertInto(Node* node, Node* added);
  Node* keepBelow(Node* node, const Removal& removal);
  Node* keepAbove(Node* node, const Removal& removal);
  Node* eraseFrom(Node* node, const Removal& removal);
  void publish(Node* root);

  NodePool<Node> pool_;
  std::atomic<Node*> root_{nullptr};
  size_t size_ = 0;
  /// Number of the change in progress: nodes born in it are not yet published and may be changed in place.
  uint64_t version_ = 0;
  Node* discarded_ = nullptr;  ///< unpublished, no ticket yet
  Node* waiting_ = nullptr;    ///< unpublished before `ticket_`
  uint64_t ticket_ = 0;
};

}  // namespace mdev
