#include "memory/unmapper.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <new>
#include <system_error>

namespace mdev {

// Never destroyed: engine threads may drop a space's last reference until the process is gone.
Unmapper& Unmapper::instance() {
  alignas(Unmapper) static std::byte storage[sizeof(Unmapper)];
  static Unmapper* const unmapper = new (storage) Unmapper;
  return *unmapper;
}

void Unmapper::Order::carryOut() const noexcept {
  ::munmap(base, size);
  unmapped(size);
}

void Unmapper::unmap(void* base, std::size_t size, void (*unmapped)(std::size_t)) noexcept {
  const Order order{base, size, unmapped};
  if (size < kWorthWaiting || !accept(order)) order.carryOut();
}

bool Unmapper::accept(const Order& order) noexcept {
  static const AtExit atExit;
  const std::lock_guard lock(mutex_);
  if (ended_ || count_ == kMaxWaiting) return false;
  if (count_ != 0 && (order.size > kMaxWaitingBytes || bytes_ > kMaxWaitingBytes - order.size)) return false;
  if (!running_) {
    // The last burst's thread has nothing left to do but to return.
    if (thread_.joinable()) thread_.join();
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      return false;
    } catch (const std::bad_alloc&) {
      return false;
    }
    running_ = true;
  }
  orders_.at((first_ + count_++) % kMaxWaiting) = order;
  bytes_ += order.size;
  return true;
}

void Unmapper::run() {
  ::prctl(PR_SET_NAME, "mdev-unmapper");
  for (;;) {
    Order order{};
    {
      const std::lock_guard lock(mutex_);
      if (count_ == 0 || ended_) {
        running_ = false;
        return;
      }
      order = orders_.at(first_);
    }
    order.carryOut();
    const std::lock_guard lock(mutex_);
    first_ = (first_ + 1) % kMaxWaiting;
    --count_;
    bytes_ -= order.size;
  }
}

void Unmapper::end() {
  std::thread last;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    last.swap(thread_);
  }
  if (last.joinable()) last.join();
}

bool Unmapper::drain(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (count_ == 0) return true;
    }
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace mdev
