// How many descriptors of a queue wait, in the guest's register.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace mdev {

/// Bits 15:0 of a work queue's status word; the rest belongs to others. DSA specification 9.2.24. Never goes beyond
/// either end, because the guest's reset may clear the word at any moment. Any thread.
class QueueOccupancy {
 public:
  explicit QueueOccupancy(const std::atomic_ref<uint32_t>& word) : word_(word) {}

  /// One more waits.
  void add() const {
    uint32_t seen = word_.load(std::memory_order_relaxed);
    while ((seen & kCount) != kCount && !word_.compare_exchange_weak(seen, seen + 1)) {
    }
  }
  /// So many wait no more.
  void take(uint64_t count) const {
    uint32_t seen = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(seen, seen - static_cast<uint32_t>(std::min<uint64_t>(seen & kCount, count)))) {
    }
  }
  void clear() const { take(kCount); }
  /// Whatever it said, so many wait. Nobody else changes it meanwhile.
  void show(uint64_t waiting) const {
    clear();
    word_.fetch_or(static_cast<uint32_t>(waiting) & kCount);
  }

 private:
  static constexpr uint32_t kCount = 0xffff;

  const std::atomic_ref<uint32_t> word_;
};

}  // namespace mdev
