#include "memory/dirty_log.h"

#include <algorithm>
#include <bit>
#include <new>

namespace mdev {

namespace {

/// Bits [from, to] of a word.
uint64_t bitsOf(uint64_t from, uint64_t to) { return (~uint64_t{0} << from) & (~uint64_t{0} >> (63 - to)); }

}  // namespace

struct DirtyLog::Leaf {
  std::array<std::atomic<uint64_t*>, kFan> words{};
  /// Some bit of the chunk may be set. Set behind the bit, cleared before the bits are read.
  std::array<std::atomic<bool>, kFan> touched{};
};

struct DirtyLog::Inner {
  std::array<std::atomic<void*>, kFan> child{};
};

/// What `take` was asked for, in page numbers.
struct DirtyLog::Take {
  uint64_t first;
  uint64_t last;
  bool keepFirst;
  bool keepLast;
  const Visitor& visit;
};

DirtyLog::DirtyLog(uint64_t pageSize)
    : pageShift_(static_cast<unsigned>(std::countr_zero(pageSize))),
      levels_(pageShift_ + kChunkPagesShift >= 63 ? 0 : (63 - pageShift_ - kChunkPagesShift) / kFanShift) {}

DirtyLog::~DirtyLog() = default;

bool DirtyLog::charge(uint64_t bytes, uint64_t limit) {
  if (bytes > limit || bytes_ > limit - bytes) return false;
  bytes_ += bytes;
  return true;
}

DirtyLog::Leaf* DirtyLog::leafOf(uint64_t chunk) const {
  void* node = root_;
  for (unsigned level = levels_; level > 0 && node != nullptr; --level) {
    const std::size_t slot = chunk >> (kFanShift * level) & (kFan - 1);
    node = static_cast<Inner*>(node)->child[slot].load(std::memory_order_acquire);
  }
  return static_cast<Leaf*>(node);
}

void DirtyLog::mark(uint64_t first, uint64_t last) const {
  const uint64_t lastPage = last >> pageShift_;
  for (uint64_t page = first >> pageShift_;;) {
    const uint64_t chunk = page >> kChunkPagesShift;
    const uint64_t end = std::min(lastPage, page | (kChunkPages - 1));
    Leaf* leaf = leafOf(chunk);
    uint64_t* words = leaf == nullptr ? nullptr : leaf->words[chunk % kFan].load(std::memory_order_acquire);
    if (words != nullptr) {
      for (uint64_t at = page; at <= end; at = (at | 63) + 1) {
        // A bit that is set already is set again: a look first could pass by a clearing that does not yet see the data.
        std::atomic_ref<uint64_t>(words[at % kChunkPages / 64])
            .fetch_or(bitsOf(at % 64, std::min(end, at | 63) % 64), std::memory_order_acq_rel);
      }
      // An exchange and no store: whoever takes the flag then sees the bits of all who set it.
      leaf->touched[chunk % kFan].exchange(true, std::memory_order_acq_rel);
    }
    if (end == lastPage) return;
    page = end + 1;
  }
}

DirtyLog::Leaf* DirtyLog::makeLeaf(uint64_t chunk, uint64_t limit) {
  const auto makeInner = [&]() -> Inner* {
    if (!charge(sizeof(Inner), limit)) return nullptr;
    return inners_.emplace_back(std::make_unique<Inner>()).get();
  };
  const auto make = [&]() -> Leaf* {
    if (!charge(sizeof(Leaf), limit)) return nullptr;
    return leaves_.emplace_back(std::make_unique<Leaf>()).get();
  };
  if (root_ == nullptr) root_ = levels_ == 0 ? static_cast<void*>(make()) : makeInner();
  void* node = root_;
  for (unsigned level = levels_; level > 0 && node != nullptr; --level) {
    std::atomic<void*>& child = static_cast<Inner*>(node)->child[chunk >> (kFanShift * level) & (kFan - 1)];
    void* below = child.load(std::memory_order_relaxed);
    if (below == nullptr) {
      below = level == 1 ? static_cast<void*>(make()) : makeInner();
      child.store(below, std::memory_order_release);
    }
    node = below;
  }
  return static_cast<Leaf*>(node);
}

// Chunks come in slabs that the kernel fills with zeros when they are touched: a guest of a terabyte costs nothing
// until its memory is written.
uint64_t* DirtyLog::makeWords(uint64_t wanted, uint64_t limit) {
  constexpr uint64_t kChunkBytes = kChunkWords * sizeof(uint64_t);
  if (spareChunks_ == 0) {
    const uint64_t chunks = std::min<uint64_t>(wanted, kFan);
    if (!charge(chunks * kChunkBytes, limit)) return nullptr;
    slabs_.emplace_back(static_cast<uint64_t*>(std::calloc(chunks, kChunkBytes)));
    if (slabs_.back() == nullptr) throw std::bad_alloc();
    spare_ = slabs_.back().get();
    spareChunks_ = chunks;
  }
  uint64_t* words = spare_;
  spare_ += kChunkWords;
  --spareChunks_;
  return words;
}

bool DirtyLog::cover(uint64_t first, uint64_t last, uint64_t limit) {
  const uint64_t lastChunk = last >> pageShift_ >> kChunkPagesShift;
  uint64_t chunk = first >> pageShift_ >> kChunkPagesShift;
  // Each chunk that is not there costs more than its bits; do not even begin what cannot end well.
  if (lastChunk - chunk > limit / (kChunkWords * sizeof(uint64_t))) return false;
  for (;; ++chunk) {
    Leaf* leaf = makeLeaf(chunk, limit);
    if (leaf == nullptr) return false;
    std::atomic<uint64_t*>& words = leaf->words[chunk % kFan];
    if (words.load(std::memory_order_relaxed) == nullptr) {
      uint64_t* made = makeWords(lastChunk - chunk + 1, limit);
      if (made == nullptr) return false;
      words.store(made, std::memory_order_release);
    }
    if (chunk == lastChunk) return true;
  }
}

void DirtyLog::takeChunk(Leaf& leaf, uint64_t chunk, const Take& order) const {
  const std::size_t slot = chunk % kFan;
  uint64_t* words = leaf.words[slot].load(std::memory_order_relaxed);
  if (words == nullptr || !leaf.touched[slot].load(std::memory_order_acquire)) return;
  const uint64_t base = chunk << kChunkPagesShift;
  const uint64_t first = std::max(base, order.first);
  const uint64_t last = std::min(base | (kChunkPages - 1), order.last);
  const bool whole = first == base && last == (base | (kChunkPages - 1)) &&
                     !(order.keepFirst && first == order.first) && !(order.keepLast && last == order.last);
  if (whole) leaf.touched[slot].exchange(false, std::memory_order_acq_rel);
  for (uint64_t at = first; at <= last; at = (at | 63) + 1) {
    const uint64_t end = std::min(last, at | 63);
    const uint64_t wanted = bitsOf(at % 64, end % 64);
    const std::atomic_ref<uint64_t> word(words[at % kChunkPages / 64]);
    if ((word.load(std::memory_order_relaxed) & wanted) == 0) continue;
    uint64_t clear = wanted;
    if (order.keepFirst && at == order.first) clear &= ~(uint64_t{1} << at % 64);
    if (order.keepLast && end == order.last) clear &= ~(uint64_t{1} << end % 64);
    uint64_t dirty = word.fetch_and(~clear, std::memory_order_acq_rel) & wanted;
    while (dirty != 0) {
      const auto from = static_cast<unsigned>(std::countr_zero(dirty));
      const auto length = static_cast<unsigned>(std::countr_one(dirty >> from));
      const uint64_t page = (at & ~uint64_t{63}) + from;
      order.visit(page << pageShift_, ((page + length - 1) << pageShift_) | (pageSize() - 1));
      dirty &= ~bitsOf(from, from + length - 1);
    }
    if (end == last) return;
  }
}

void DirtyLog::takeBelow(void* node, unsigned level, uint64_t prefix, const Take& order) const {
  if (node == nullptr) return;
  const unsigned shift = kChunkPagesShift + kFanShift * level;
  const uint64_t lowest = prefix << kFanShift;
  const uint64_t first = std::max(lowest, order.first >> shift);
  const uint64_t last = std::min(lowest | (kFan - 1), order.last >> shift);
  for (uint64_t index = first; index <= last; ++index) {
    if (level == 0) {
      takeChunk(*static_cast<Leaf*>(node), index, order);
    } else {
      std::atomic<void*>& child = static_cast<Inner*>(node)->child[index % kFan];
      takeBelow(child.load(std::memory_order_relaxed), level - 1, index, order);
    }
  }
}

void DirtyLog::take(uint64_t first, uint64_t last, bool keepFirst, bool keepLast, const Visitor& visit) const {
  takeBelow(root_, levels_, 0, {first >> pageShift_, last >> pageShift_, keepFirst, keepLast, visit});
}

}  // namespace mdev
