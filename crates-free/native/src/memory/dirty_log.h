// Which pages of guest memory the device wrote: marked by any thread, read and cleared by one.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

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
  /// Memory that the log takes, bytes. What was never marked takes address space only.
  uint64_t bytes() const { return bytes_; }

  /// Called with an interval of addresses [first, last] that consists of whole dirty pages.
  using Visitor = std::function<void(uint64_t first, uint64_t last)>;
  /// Reads and clears the pages that [first, last] touches: a mark made meanwhile is either visited or stays. The first
  /// (last) page is only read if `keepFirst` (`keepLast`). Costs what is dirty, not what is covered.
  void take(uint64_t first, uint64_t last, bool keepFirst, bool keepLast, const Visitor& visit) const;

 private:
  static constexpr unsigned kChunkPagesShift = 15;
  static constexpr uint64_t kChunkPages = uint64_t{1} << kChunkPagesShift;
  static constexpr std::size_t kChunkWords = kChunkPages / 64;
  static constexpr unsigned kFanShift = 9;
  static constexpr std::size_t kFan = std::size_t{1} << kFanShift;

  struct Leaf;
  struct Inner;
  struct Take;
  struct Free {
    void operator()(uint64_t* words) const { std::free(words); }
  };

  Leaf* leafOf(uint64_t chunk) const;
  Leaf* makeLeaf(uint64_t chunk, uint64_t limit);
  uint64_t* makeWords(uint64_t wanted, uint64_t limit);
  bool charge(uint64_t bytes, uint64_t limit);
  void takeBelow(void* node, unsigned level, uint64_t prefix, const Take& order) const;
  void takeChunk(Leaf& leaf, uint64_t chunk, const Take& order) const;

  const unsigned pageShift_;
  /// Levels of inner nodes above the leaves.
  const unsigned levels_;
  uint64_t bytes_ = 0;
  std::vector<std::unique_ptr<Inner>> inners_;
  std::vector<std::unique_ptr<Leaf>> leaves_;
  std::vector<std::unique_ptr<uint64_t[], Free>> slabs_;
  /// The rest of the newest slab.
  uint64_t* spare_ = nullptr;
  uint64_t spareChunks_ = 0;
  void* root_ = nullptr;
};

}  // namespace mdev
