#include "memory/dirty_log.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <new>
#include <utility>

namespace mdev {

namespace {

/// Bits [from, to] of a word.
uint64_t bitsOf(uint64_t from, uint64_t to) { return (~uint64_t{0} << from) & (~uint64_t{0} >> (63 - to)); }

}  // namespace

struct DirtyLog::Leaf {
  /// Slots in use.
  std::size_t used = 0;
  std::array<std::atomic<uint64_t*>, kFan> words{};
  /// Some bit of the chunk may be set. Set behind the bit, cleared before the bits are read.
  std::array<std::atomic<bool>, kFan> touched{};
};

struct DirtyLog::Inner {
  std::size_t used = 0;
  std::array<std::atomic<void*>, kFan> child{};
};

/// What `take` was asked for, in page numbers.
struct DirtyLog::Take {
  uint64_t first;
  uint64_t last;
  bool keepFirst;
  bool keepLast;
  bool keepAll;
  const Visitor& visit;
};

/// What `uncover` was asked for, in page numbers.
struct DirtyLog::Uncover {
  uint64_t first;
  uint64_t last;
  const Keep& keep;
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
    auto inner = std::make_unique<Inner>();
    return inners_.emplace(inner.get(), std::move(inner)).first->second.get();
  };
  const auto make = [&]() -> Leaf* {
    if (!charge(sizeof(Leaf), limit)) return nullptr;
    auto leaf = std::make_unique<Leaf>();
    return leaves_.emplace(leaf.get(), std::move(leaf)).first->second.get();
  };
  if (root_ == nullptr) root_ = levels_ == 0 ? static_cast<void*>(make()) : makeInner();
  void* node = root_;
  for (unsigned level = levels_; level > 0 && node != nullptr; --level) {
    std::atomic<void*>& child = static_cast<Inner*>(node)->child[chunk >> (kFanShift * level) & (kFan - 1)];
    void* below = child.load(std::memory_order_relaxed);
    if (below == nullptr) {
      below = level == 1 ? static_cast<void*>(make()) : makeInner();
      if (below != nullptr) ++static_cast<Inner*>(node)->used;
      child.store(below, std::memory_order_release);
    }
    node = below;
  }
  return static_cast<Leaf*>(node);
}

// Chunks come in slabs that the kernel fills with zeros when they are touched: a guest of a terabyte costs nothing
// until its memory is written.
uint64_t* DirtyLog::makeWords(uint64_t wanted, uint64_t limit) {
  if (spareChunks_ != 0) {
    for (auto& [words, slab] : slabs_)
      if (slab.used < slab.chunks) return takeWords(slab);
  }
  const uint64_t chunks = std::min<uint64_t>(wanted, kFan);
  if (!charge(chunks * kChunkBytes, limit)) return nullptr;
  Slab slab{.words = {}, .chunks = chunks, .used = 0, .taken = {}};
  slab.words.reset(static_cast<uint64_t*>(std::calloc(chunks, kChunkBytes)));
  if (slab.words == nullptr) throw std::bad_alloc();
  uint64_t* const begin = slab.words.get();
  Slab& added = slabs_.emplace(begin, std::move(slab)).first->second;
  spareChunks_ += chunks;
  return takeWords(added);
}

uint64_t* DirtyLog::takeWords(Slab& slab) {
  std::size_t chunk = 0;
  while (slab.taken.test(chunk)) ++chunk;
  slab.taken.set(chunk);
  ++slab.used;
  --spareChunks_;
  return slab.words.get() + chunk * kChunkWords;
}

void DirtyLog::dropWords(uint64_t* words) {
  const auto place = std::prev(slabs_.upper_bound(words));
  Slab& slab = place->second;
  slab.taken.reset(static_cast<std::size_t>(words - slab.words.get()) / kChunkWords);
  --slab.used;
  ++spareChunks_;
  if (slab.used != 0) return;
  spareChunks_ -= slab.chunks;
  bytes_ -= slab.chunks * kChunkBytes;
  slabs_.erase(place);
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
      ++leaf->used;
      words.store(made, std::memory_order_release);
    }
    if (chunk == lastChunk) return true;
  }
}

void DirtyLog::uncoverChunk(Leaf& leaf, uint64_t chunk, const Uncover& order) {
  const std::size_t slot = chunk % kFan;
  uint64_t* const words = leaf.words[slot].load(std::memory_order_relaxed);
  const uint64_t first = chunk << kChunkPagesShift << pageShift_;
  const uint64_t last = first | ((kChunkPages << pageShift_) - 1);
  if (words == nullptr || order.keep(first, last)) return;
  leaf.words[slot].store(nullptr, std::memory_order_relaxed);
  // Whoever gets it next expects zeros.
  if (leaf.touched[slot].exchange(false, std::memory_order_acq_rel)) std::fill_n(words, kChunkWords, 0);
  dropWords(words);
  --leaf.used;
}

bool DirtyLog::uncoverBelow(void* node, unsigned level, uint64_t prefix, const Uncover& order) {
  const unsigned shift = kChunkPagesShift + kFanShift * level;
  const uint64_t lowest = prefix << kFanShift;
  const uint64_t first = std::max(lowest, order.first >> shift);
  const uint64_t last = std::min(lowest | (kFan - 1), order.last >> shift);
  for (uint64_t index = first; index <= last; ++index) {
    if (level == 0) {
      uncoverChunk(*static_cast<Leaf*>(node), index, order);
      continue;
    }
    Inner& inner = *static_cast<Inner*>(node);
    void* const child = inner.child[index % kFan].load(std::memory_order_relaxed);
    if (child == nullptr || uncoverBelow(child, level - 1, index, order)) continue;
    inner.child[index % kFan].store(nullptr, std::memory_order_relaxed);
    --inner.used;
    bytes_ -= level == 1 ? sizeof(Leaf) : sizeof(Inner);
    if (level == 1) {
      leaves_.erase(child);
    } else {
      inners_.erase(child);
    }
  }
  return level == 0 ? static_cast<Leaf*>(node)->used != 0 : static_cast<Inner*>(node)->used != 0;
}

void DirtyLog::uncover(uint64_t first, uint64_t last, const Keep& keep) {
  if (root_ != nullptr) uncoverBelow(root_, levels_, 0, {first >> pageShift_, last >> pageShift_, keep});
}

void DirtyLog::takeChunk(Leaf& leaf, uint64_t chunk, const Take& order) const {
  const std::size_t slot = chunk % kFan;
  uint64_t* words = leaf.words[slot].load(std::memory_order_relaxed);
  if (words == nullptr || !leaf.touched[slot].load(std::memory_order_acquire)) return;
  const uint64_t base = chunk << kChunkPagesShift;
  const uint64_t first = std::max(base, order.first);
  const uint64_t last = std::min(base | (kChunkPages - 1), order.last);
  const bool whole = !order.keepAll && first == base && last == (base | (kChunkPages - 1)) &&
                     !(order.keepFirst && first == order.first) && !(order.keepLast && last == order.last);
  if (whole) leaf.touched[slot].exchange(false, std::memory_order_acq_rel);
  for (uint64_t at = first; at <= last; at = (at | 63) + 1) {
    const uint64_t end = std::min(last, at | 63);
    const uint64_t wanted = bitsOf(at % 64, end % 64);
    const std::atomic_ref<uint64_t> word(words[at % kChunkPages / 64]);
    if ((word.load(std::memory_order_relaxed) & wanted) == 0) continue;
    uint64_t clear = order.keepAll ? 0 : wanted;
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
  takeBelow(root_, levels_, 0, {first >> pageShift_, last >> pageShift_, keepFirst, keepLast, false, visit});
}

void DirtyLog::read(const Visitor& visit) const {
  takeBelow(root_, levels_, 0, {0, ~uint64_t{0} >> pageShift_, false, false, true, visit});
}

}  // namespace mdev
