// Where an engine's thread sleeps.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/waker.h"

namespace mdev {

/// One thread parks, any thread wakes it. A wake-up that comes first is remembered, so none is lost; several count as
/// one.
class Parker final : public Waker {
 public:
  /// Sleeps until woken, or returns at once when woken since the last time. One thread only.
  void park();
  /// The same, for at most so many milliseconds.
  void parkFor(uint32_t milliseconds);
  /// Woken since the last time: takes that away, as `park` would. The same thread.
  bool takeWake() { return state_.load(std::memory_order_relaxed) == kWoken && state_.exchange(kAwake) == kWoken; }
  void wake() override;
  /// Wakes it, and asks it to look at what waits there.
  void wakeToLook() {
    look_.store(true);
    wake();
  }
  /// Asked since the last time. The same thread.
  bool takeLook() { return look_.load(std::memory_order_relaxed) && look_.exchange(false); }

 private:
  template <typename Sleep>
  void parkWith(Sleep sleep);
  enum State : uint32_t { kAwake, kParked, kWoken };
  std::atomic<uint32_t> state_{kAwake};
  std::atomic<bool> look_{false};
};

}  // namespace mdev
