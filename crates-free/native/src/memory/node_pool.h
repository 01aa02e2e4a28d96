// Nodes of one size, given out and taken back by one thread.
#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <vector>

namespace mdev {

/// Owns every node that it gives out. `Node` has a member `next` that is free for the pool while the pool holds it.
template <typename Node>
class NodePool {
 public:
  /// Makes sure that `take` succeeds `nodes` times. May throw std::bad_alloc.
  void reserve(size_t nodes) {
    while (available_ < nodes) {
      slabs_.push_back(std::make_unique_for_overwrite<Node[]>(kSlabNodes));
      for (size_t index = kSlabNodes; index-- > 0;) give(&slabs_.back()[index]);
    }
  }

  /// A node of arbitrary content.
  Node* take() {
    assert(free_ != nullptr);
    Node* node = free_;
    free_ = node->next;
    --available_;
    return node;
  }

  void give(Node* node) {
    node->next = free_;
    free_ = node;
    ++available_;
  }

  /// Frees the memory. Only while every node is here.
  void trim() {
    if (slabs_.size() <= 1) return;
    assert(available_ == slabs_.size() * kSlabNodes);
    slabs_.clear();
    free_ = nullptr;
    available_ = 0;
  }

 private:
  static constexpr size_t kSlabNodes = 64 * 1024 / sizeof(Node);

  std::vector<std::unique_ptr<Node[]>> slabs_;
  Node* free_ = nullptr;
  size_t available_ = 0;
};

}  // namespace mdev
