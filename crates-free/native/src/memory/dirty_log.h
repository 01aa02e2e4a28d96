// Which pages of guest memory the device wrote: marked by any thread, read and cleared by one.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
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
  /// True if some of the addresses [first, last] are to stay covered.
  using Keep = std::function<bool(uint64_t first, uint64_t last)>;
  /// Gives up the room for [first, last] and its surroundings, except where `keep` wants it: chunks of `kChunkPages`
  /// pages are kept or go as a whole, with their marks. Nobody may be marking what is not kept. Allocates nothing, and
  /// costs what is covered, not how large the range is.
  void uncover(uint64_t first, uint64_t last, const Keep& keep);
  /// Memory that the log takes, bytes. What was never marked takes address space only.
  uint64_t bytes() const { return bytes_; }

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
  static constexpr std::size_t kChunkWords = kChunkPages / 64;
  static constexpr uint64_t kChunkBytes = kChunkWords * sizeof(uint64_t);
  static constexpr unsigned kFanShift = 9;
  static constexpr std::size_t kFan = std::size_t{1} << kFanShift;

  struct Leaf;
  struct Inner;
  struct Take;
  struct Uncover;
  struct Free {
    void operator()(uint64_t* words) const { std::free(words); }
  };
  /// The words of so many chunks, of which some are in use.
  struct Slab {
    std::unique_ptr<uint64_t[], Free> words;
    std::size_t chunks = 0;
    std::size_t used = 0;
    std::bitset<kFan> taken;
  };

  Leaf* leafOf(uint64_t chunk) const;
  Leaf* makeLeaf(uint64_t chunk, uint64_t limit);
  uint64_t* makeWords(uint64_t wanted, uint64_t limit);
  uint64_t* takeWords(Slab& slab);
  void dropWords(uint64_t* words);
  /// Whether anything is left below the node.
  bool uncoverBelow(void* node, unsigned level, uint64_t prefix, const Uncover& order);
  void uncoverChunk(Leaf& leaf, uint64_t chunk, const Uncover& order);
  bool charge(uint64_t bytes, uint64_t limit);
  void takeBelow(void* node, unsigned level, uint64_t prefix, const Take& order) const;
  void takeChunk(Leaf& leaf, uint64_t chunk, const Take& order) const;

  const unsigned pageShift_;
  /// Levels of inner nodes above the leaves.
  const unsigned levels_;
  uint64_t bytes_ = 0;
  std::map<void*, std::unique_ptr<Inner>> inners_;
  std::map<void*, std::unique_ptr<Leaf>> leaves_;
  /// By the address of their words.
  std::map<uint64_t*, Slab> slabs_;
  /// Chunks of slabs that are in no use.
  std::size_t spareChunks_ = 0;
  /// Stays as long as the log.
  void* root_ = nullptr;
};

}  // namespace mdev
