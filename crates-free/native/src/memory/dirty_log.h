// Which pages of guest memory the device wrote: marked by any thread, read and cleared by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "memory/dirty_chunks.h"

namespace mdev {

/// One bit for each page of the addresses that `cover` named, in a radix tree of the page number. Marking never
/// allocates and never waits.
class DirtyLog {
 public:
  /// Smallest page that is tracked, bytes.
  static constexpr uint64_t kMinPageSize = 4096;

  /// `pageSize` is a power of two, kMinPageSize or more.
  explicit DirtyLog(uint64_t pageSize);
  ~DirtyLog();
  DirtyLog(const DirtyLog&) = delete;
  DirtyLog& operator=(const DirtyLog&) = delete;

  uint64_t pageSize() const { return uint64_t{1} << pageShift_; }

  // --- Any thread that holds an EpochGuard, and the owner ---

  /// The bytes [first, last] have been written. Pages that are not covered are ignored. A mark is complete when this
  /// returns, and what was written before it is visible to whoever sees the mark.
  void mark(uint64_t first, uint64_t last) const;

  // --- Owner thread ---

  /// Makes room for marks in [first, last]. False: it would take more than `limit` bytes in all; a part may be covered
  /// then. May throw std::bad_alloc.
  bool cover(uint64_t first, uint64_t last, uint64_t limit);
  /// True if some of the addresses [first, last] are to stay covered.
  using Keep = std::function<bool(uint64_t first, uint64_t last)>;
  /// Gives up the room for [first, last] and its surroundings, except where `keep` wants it: chunks of `kChunkPages`
  /// pages are kept or go as a whole, with their marks. Nobody may be marking what is not kept. Allocates nothing, and
  /// costs what is covered, not how large the range is.
  void uncover(uint64_t first, uint64_t last, const Keep& keep);
  /// Memory that the log takes, bytes. What was never marked takes address space only.
  uint64_t bytes() const { return nodeBytes_ + chunks_.bytes(); }

  /// Called with an interval of addresses [first, last] that consists of whole dirty pages.
  using Visitor = std::function<void(uint64_t first, uint64_t last)>;
  /// Reads and clears the pages that [first, last] touches: a mark made meanwhile is either visited or stays. The first
  /// (last) page is only read if `keepFirst` (`keepLast`). Costs what is dirty, not what is covered.
  void take(uint64_t first, uint64_t last, bool keepFirst, bool keepLast, const Visitor& visit) const;
  /// Reads all dirty pages, which stay marked.
  void read(const Visitor& visit) const;

 private:
  static constexpr unsigned kChunkPagesShift = 15;
  static constexpr uint64_t kChunkPages = uint64_t{1} << kChunkPagesShift;
  static_assert(kChunkPages == DirtyChunks::kWords * 64);
  static constexpr unsigned kFanShift = 9;
  static constexpr std::size_t kFan = std::size_t{1} << kFanShift;

  struct Leaf;
  struct Inner;
  /// Page numbers, both ends included.
  struct Pages {
    uint64_t first;
    uint64_t last;
  };
  struct Take;

  Leaf* leafOf(uint64_t chunk) const;
  Leaf* makeLeaf(uint64_t chunk, uint64_t limit);
  template <typename Node>
  Node* makeNode(std::map<void*, std::unique_ptr<Node>>& nodes, uint64_t limit);
  /// Calls `visit` with leaf and number of each chunk below the node that lies in `pages` and has a leaf, ascending;
  /// and `left` with an inner node, and slot and level of its child, behind what is below that one.
  template <typename Visit, typename Left>
  static void walk(void* node, unsigned level, uint64_t prefix, Pages pages, const Visit& visit, const Left& left);
  void uncoverChunk(Leaf& leaf, uint64_t chunk, const Keep& keep);
  void dropIfEmpty(Inner& parent, std::size_t slot, unsigned level);
  void takeAll(const Take& order) const;
  void takeChunk(Leaf& leaf, uint64_t chunk, const Take& order) const;

  const unsigned pageShift_;
  /// Levels of inner nodes above the leaves.
  const unsigned levels_;
  uint64_t nodeBytes_ = 0;
  std::map<void*, std::unique_ptr<Inner>> inners_;
  std::map<void*, std::unique_ptr<Leaf>> leaves_;
  DirtyChunks chunks_;
  /// Stays as long as the log.
  void* root_ = nullptr;
};

}  // namespace mdev
