#include "engine/parker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace mdev {
namespace {

// A futex rather than std::condition_variable, whose wait would raise the oldest C++ library that can load this addon.
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);

long futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* limit = nullptr) {
  return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, limit, nullptr, 0);
}

}  // namespace

template <typename Sleep>
void Parker::parkWith(Sleep sleep) {
  uint32_t expected = kAwake;
  if (state_.compare_exchange_strong(expected, kParked)) sleep();
  // A second wake-up may have come since: what was done before it must be seen, because this takes it away.
  state_.exchange(kAwake);
}

void Parker::park() {
  parkWith([this] {
    while (state_.load() == kParked) futex(state_, FUTEX_WAIT, kParked);
  });
}

void Parker::parkFor(uint32_t milliseconds) {
  const timespec limit{milliseconds / 1000, static_cast<long>(milliseconds % 1000) * 1'000'000};
  // Once: who is woken for nothing looks, and comes back.
  parkWith([&] { futex(state_, FUTEX_WAIT, kParked, &limit); });
}

void Parker::wake() {
  if (state_.exchange(kWoken) == kParked) futex(state_, FUTEX_WAKE, 1);
}

}  // namespace mdev
