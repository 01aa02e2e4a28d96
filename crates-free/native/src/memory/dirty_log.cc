#include "memory/dirty_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
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

/// What `take` was asked for.
struct DirtyLog::Take {
  Pages pages;
  bool keepFirst;
  bool keepLast;
  bool keepAll;
  const Visitor& visit;
};

DirtyLog::DirtyLog(uint64_t pageSize)
    : pageShift_(static_cast<unsigned>(std::countr_zero(pageSize))),
      levels_(pageShift_ + kChunkPagesShift >= 63 ? 0 : (63 - pageShift_ - kChunkPagesShift) / kFanShift) {}

DirtyLog::~DirtyLog() = default;

template <typename Visit, typename Left>
void DirtyLog::walk(void* node, unsigned level, uint64_t prefix, Pages pages, const Visit& visit, const Left& left) {
  const unsigned shift = kChunkPagesShift + kFanShift * level;
  const uint64_t lowest = prefix << kFanShift;
  const uint64_t first = std::max(lowest, pages.first >> shift);
  const uint64_t last = std::min(lowest | (kFan - 1), pages.last >> shift);
  for (uint64_t index = first; index <= last; ++index) {
    if (level == 0) {
      visit(*static_cast<Leaf*>(node), index);
      continue;
    }
    Inner& inner = *static_cast<Inner*>(node);
    void* const child = inner.child[index % kFan].load(std::memory_order_relaxed);
    if (child == nullptr) continue;
    walk(child, level - 1, index, pages, visit, left);
    left(inner, index % kFan, level - 1);
  }
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

template <typename Node>
Node* DirtyLog::makeNode(std::map<void*, std::unique_ptr<Node>>& nodes, uint64_t limit) {
  if (sizeof(Node) > limit || bytes() > limit - sizeof(Node)) return nullptr;
  auto node = std::make_unique<Node>();
  Node* const made = nodes.emplace(node.get(), std::move(node)).first->second.get();
  nodeBytes_ += sizeof(Node);
  return made;
}

DirtyLog::Leaf* DirtyLog::makeLeaf(uint64_t chunk, uint64_t limit) {
  const auto make = [&](unsigned level) -> void* {
    if (level == 0) return makeNode(leaves_, limit);
    return makeNode(inners_, limit);
  };
  if (root_ == nullptr) root_ = make(levels_);
  void* node = root_;
  for (unsigned level = levels_; level > 0 && node != nullptr; --level) {
    std::atomic<void*>& child = static_cast<Inner*>(node)->child[chunk >> (kFanShift * level) & (kFan - 1)];
    void* below = child.load(std::memory_order_relaxed);
    if (below == nullptr) {
      below = make(level - 1);
      if (below != nullptr) ++static_cast<Inner*>(node)->used;
      child.store(below, std::memory_order_release);
    }
    node = below;
  }
  return static_cast<Leaf*>(node);
}

bool DirtyLog::cover(uint64_t first, uint64_t last, uint64_t limit) {
  const uint64_t lastChunk = last >> pageShift_ >> kChunkPagesShift;
  uint64_t chunk = first >> pageShift_ >> kChunkPagesShift;
  // Each chunk that is not there costs more than its bits; do not even begin what cannot end well.
  if (lastChunk - chunk > limit / DirtyChunks::kBytes) return false;
  for (;; ++chunk) {
    Leaf* leaf = makeLeaf(chunk, limit);
    if (leaf == nullptr) return false;
    std::atomic<uint64_t*>& words = leaf->words[chunk % kFan];
    if (words.load(std::memory_order_relaxed) == nullptr) {
      uint64_t* made = chunks_.take(lastChunk - chunk + 1, limit - std::min(limit, nodeBytes_));
      if (made == nullptr) return false;
      ++leaf->used;
      words.store(made, std::memory_order_release);
    }
    if (chunk == lastChunk) return true;
  }
}

void DirtyLog::uncoverChunk(Leaf& leaf, uint64_t chunk, const Keep& keep) {
  const std::size_t slot = chunk % kFan;
  uint64_t* const words = leaf.words[slot].load(std::memory_order_relaxed);
  const uint64_t first = chunk << kChunkPagesShift << pageShift_;
  const uint64_t last = first | ((kChunkPages << pageShift_) - 1);
  if (words == nullptr || keep(first, last)) return;
  leaf.words[slot].store(nullptr, std::memory_order_relaxed);
  // Whoever gets it next expects zeros.
  if (leaf.touched[slot].exchange(false, std::memory_order_acq_rel)) std::fill_n(words, DirtyChunks::kWords, 0);
  chunks_.give(words);
  --leaf.used;
}

void DirtyLog::dropIfEmpty(Inner& parent, std::size_t slot, unsigned level) {
  void* const node = parent.child[slot].load(std::memory_order_relaxed);
  if ((level == 0 ? static_cast<Leaf*>(node)->used : static_cast<Inner*>(node)->used) != 0) return;
  parent.child[slot].store(nullptr, std::memory_order_relaxed);
  --parent.used;
  nodeBytes_ -= level == 0 ? sizeof(Leaf) : sizeof(Inner);
  if (level == 0) {
    leaves_.erase(node);
  } else {
    inners_.erase(node);
  }
}

void DirtyLog::uncover(uint64_t first, uint64_t last, const Keep& keep) {
  if (root_ == nullptr) return;
  walk(
      root_, levels_, 0, {first >> pageShift_, last >> pageShift_},
      [&](Leaf& leaf, uint64_t chunk) { uncoverChunk(leaf, chunk, keep); },
      [&](Inner& parent, std::size_t slot, unsigned level) { dropIfEmpty(parent, slot, level); });
}

void DirtyLog::takeChunk(Leaf& leaf, uint64_t chunk, const Take& order) const {
  const std::size_t slot = chunk % kFan;
  uint64_t* words = leaf.words[slot].load(std::memory_order_relaxed);
  if (words == nullptr || !leaf.touched[slot].load(std::memory_order_acquire)) return;
  const uint64_t base = chunk << kChunkPagesShift;
  const auto [firstAsked, lastAsked] = order.pages;
  const uint64_t first = std::max(base, firstAsked);
  const uint64_t last = std::min(base | (kChunkPages - 1), lastAsked);
  const bool whole = !order.keepAll && first == base && last == (base | (kChunkPages - 1)) &&
                     !(order.keepFirst && first == firstAsked) && !(order.keepLast && last == lastAsked);
  if (whole) leaf.touched[slot].exchange(false, std::memory_order_acq_rel);
  for (uint64_t at = first; at <= last; at = (at | 63) + 1) {
    const uint64_t end = std::min(last, at | 63);
    const uint64_t wanted = bitsOf(at % 64, end % 64);
    const std::atomic_ref<uint64_t> word(words[at % kChunkPages / 64]);
    if ((word.load(std::memory_order_relaxed) & wanted) == 0) continue;
    uint64_t clear = order.keepAll ? 0 : wanted;
    if (order.keepFirst && at == firstAsked) clear &= ~(uint64_t{1} << at % 64);
    if (order.keepLast && end == lastAsked) clear &= ~(uint64_t{1} << end % 64);
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

void DirtyLog::takeAll(const Take& order) const {
  if (root_ == nullptr) return;
  walk(
      root_, levels_, 0, order.pages, [&](Leaf& leaf, uint64_t chunk) { takeChunk(leaf, chunk, order); },
      [](const Inner&, std::size_t, unsigned) {});
}

void DirtyLog::take(uint64_t first, uint64_t last, bool keepFirst, bool keepLast, const Visitor& visit) const {
  takeAll({{first >> pageShift_, last >> pageShift_}, keepFirst, keepLast, false, visit});
}

void DirtyLog::read(const Visitor& visit) const {
  takeAll({{0, ~uint64_t{0} >> pageShift_}, false, false, true, visit});
}

}  // namespace mdev
