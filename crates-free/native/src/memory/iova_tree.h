// The DMA maps of one space as a persistent B+ tree: changed by one thread, read by any without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "memory/iova_entry.h"
#include "memory/iova_node.h"
#include "memory/node_pool.h"

namespace mdev {

class EpochDomain;

/// Disjoint intervals. A change copies the nodes on its path and publishes the new root at once; the replaced nodes go
/// back to their pool when the epoch domain says that no reader can see them.
///
/// Between two changes the root is a node of its own, and its version is a number that no other tree of the process
/// ever had.
class IovaTree {
 public:
  /// `epochs`: of those who read it; outlives the tree.
  explicit IovaTree(EpochDomain& epochs) : epochs_(epochs) {}
  /// No reader may be left.
  ~IovaTree() = default;
  IovaTree(const IovaTree&) = delete;
  IovaTree& operator=(const IovaTree&) = delete;

  // --- Any thread that holds an EpochGuard, and the owner. What is returned is valid as long as the guard; for the
  // owner, until its next change. ---

  /// The tree as it is now; null: empty.
  const IovaNode* root() const { return root_.load(std::memory_order_acquire); }
  /// The entry under `root` that contains `address`, or null.
  static const IovaEntry* find(const IovaNode* root, uint64_t address);
  const IovaEntry* find(uint64_t address) const { return find(root(), address); }

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
  /// Allocates what a `replace` of so many entries needs. May throw std::bad_alloc.
  void reserveReplacing(size_t entries);
  /// Puts another entry of the same addresses in the place of each inside [first, last], in one publication. Needs
  /// `reserveReplacing` for as many.
  void replace(uint64_t first, uint64_t last, const std::function<IovaEntry(const IovaEntry&)>& replacement);
  /// Takes back the nodes that no reader can see any more. insert and erase do it too.
  void reclaim();
  /// Levels from the root to the leaves.
  unsigned height() const { return heightOf(root_.load(std::memory_order_relaxed)); }
  /// For tests: true when keys, heights and numbers of parts are as they should be.
  bool consistent() const;

 private:
  /// One or two neighbours of the same height.
  struct Pair {
    IovaNode* left;
    IovaNode* right;
  };
  struct Removal {
    uint64_t first;
    uint64_t last;
    const std::function<void(const IovaEntry&)>& removed;
  };
  /// The nodes of one kind.
  template <typename Node>
  struct Store {
    NodePool<Node> pool;
    Node* discarded = nullptr;  ///< unpublished, no ticket yet
    Node* waiting = nullptr;    ///< unpublished before `ticket_`
    void giveBackWaiting();
  };

  static unsigned heightOf(const IovaNode* node) { return node == nullptr ? 0 : static_cast<unsigned>(node->height); }
  bool fresh(const IovaNode* node) const { return node->version == version_; }
  template <typename Node>
  Store<Node>& storeOf();
  template <typename Node>
  Node* make(unsigned height);
  template <typename Node>
  void discard(Node* node);
  template <typename Node>
  Node* blank(Node* node);
  template <typename Node>
  Pair spread(const IovaParts<Node>& parts, unsigned left, Node* first, Node* second);
  template <typename Node>
  Pair spliced(Node* node, unsigned from, unsigned to, const typename Node::Part* added, unsigned number);
  template <typename Node>
  Pair fuse(Node* low, Node* high);
  template <typename Node>
  Node* section(Node* node, unsigned from, unsigned to);
  IovaNode* children(IovaInner* node, unsigned from, unsigned to);
  Pair spliceNodes(IovaInner* node, unsigned from, unsigned to, Pair added);

  Pair joinPair(IovaNode* low, IovaNode* high);
  IovaNode* rooted(Pair pair);
  IovaNode* join(IovaNode* low, IovaNode* high);

  Pair insertInto(IovaNode* node, const IovaEntry& entry);
  void drop(const IovaEntry& entry, const Removal& removal);
  void discardAll(IovaNode* node, const Removal& removal);
  IovaNode* eraseFromLeaf(IovaLeaf* node, const Removal& removal);
  IovaNode* keepBelow(IovaNode* node, const Removal& removal);
  IovaNode* keepAbove(IovaNode* node, const Removal& removal);
  IovaNode* eraseFrom(IovaNode* node, const Removal& removal);
  IovaNode* renewed(IovaNode* root);
  IovaNode* replaceIn(IovaNode* node, uint64_t first, uint64_t last,
                      const std::function<IovaEntry(const IovaEntry&)>& replacement);
  void begin();
  void publish(IovaNode* root);

  EpochDomain& epochs_;
  Store<IovaLeaf> leaves_;
  Store<IovaInner> inners_;
  std::atomic<IovaNode*> root_{nullptr};
  size_t size_ = 0;
  /// Number of the change in progress: nodes born in it are not yet published and may be changed in place.
  uint64_t version_ = 0;
  uint64_t ticket_ = 0;
};

}  // namespace mdev
