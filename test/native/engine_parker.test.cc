// sources: engine/parker.cc
// sanitize: thread
//
// A wake-up that comes while the thread is on its way out of `park` is taken away by it: what was done before that
// wake-up must be seen then. An ordinary processor hides a mistake here, ThreadSanitizer does not.
#include <atomic>
#include <cstdint>
#include <thread>

#include "check.h"
#include "engine/parker.h"

namespace {

/// Both threads must run at once to meet. Where there is no processor for the second one, waiting in place would take a
/// whole time slice.
void rest(uint32_t spin) {
  if (spin > 1000) std::this_thread::yield();
}

}  // namespace

int main() {
  constexpr uint32_t kRounds = 100000;
  mdev::Parker parker;
  // Plain: only the wake-up orders it.
  uint32_t work = 0;
  std::atomic<uint32_t> round{0};
  std::atomic<uint32_t> woken{0};
  std::thread other([&] {
    for (uint32_t next = 1; next <= kRounds; ++next) {
      for (uint32_t spin = 0; round.load(std::memory_order_acquire) != next; ++spin) rest(spin);
      work = next;
      parker.wake();
      woken.store(next, std::memory_order_relaxed);
    }
  });
  for (uint32_t next = 1; next <= kRounds; ++next) {
    // There is a wake-up already: the other one comes before, during or after this `park`.
    parker.wake();
    round.store(next, std::memory_order_release);
    for (uint32_t spin = 0; spin < next % 64; ++spin) round.load(std::memory_order_relaxed);
    parker.park();
    for (uint32_t spin = 0; woken.load(std::memory_order_relaxed) != next; ++spin) rest(spin);
    // If it came after, it is still there; this one makes sure that `park` returns in any case.
    parker.wake();
    parker.park();
    CHECK_EQUAL(work, next);
  }
  other.join();
}
