#include "memory/epoch_process.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <new>

#include "memory/pause.h"

namespace mdev {

namespace {

// Most guards close within a few hundred nanoseconds; only behind a copy or a descheduled reader is sleeping cheaper.
constexpr int kSpins = 200;

void futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* limit = nullptr) {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, limit, nullptr, 0);
}

/// Sleeps until the word changes, or the deadline. False when that is over.
bool sleepWhile(std::atomic<uint32_t>& word, uint32_t value, const EpochProcess::Deadline& deadline) {
  if (!deadline) {
    futex(word, FUTEX_WAIT_PRIVATE, value);
    return true;
  }
  const auto left = std::chrono::nanoseconds(*deadline - std::chrono::steady_clock::now()).count();
  if (left <= 0) return false;
  const timespec limit{left / 1'000'000'000, static_cast<long>(left % 1'000'000'000)};
  futex(word, FUTEX_WAIT_PRIVATE, value, &limit);
  return true;
}

}  // namespace

bool EpochDomain::Reader::Slot::watch(const EpochDomain* wanted, uint64_t ticket) {
  for (;;) {
    const uint64_t epoch = oldest(wanted, ticket);
    if (epoch >= ticket) return false;
    const uint64_t open = epoch << kEpochShift | kActive;
    uint64_t seen = open;
    if (word.compare_exchange_strong(seen, open | kWaited, std::memory_order_acq_rel) || seen == (open | kWaited)) {
      return true;
    }
  }
}

EpochProcess& EpochProcess::instance() {
  alignas(EpochProcess) static std::byte storage[sizeof(EpochProcess)];
  static EpochProcess* const instance = new (storage) EpochProcess;
  return *instance;
}

bool EpochProcess::waitFor(const EpochDomain* domain, uint64_t ticket, const Deadline& deadline) {
  for (Slot* slot = head(); slot != nullptr; slot = slot->next) {
    if (!waitFor(*slot, domain, ticket, deadline)) return false;
  }
  return true;
}

bool EpochProcess::waitFor(Slot& slot, const EpochDomain* domain, uint64_t ticket, const Deadline& deadline) {
  for (int spins = 0; spins < kSpins; ++spins) {
    if (!Slot::isOlder(slot.word.load(std::memory_order_relaxed), ticket)) break;
    if (slot.domain.load(std::memory_order_relaxed) != domain) break;
    pause();
  }
  for (;;) {
    // Read before the check: an exit after the check changes it, and the kernel then refuses to sleep.
    const uint32_t seen = wakeups.load(std::memory_order_acquire);
    if (!slot.watch(domain, ticket)) return true;
    if (!sleepWhile(wakeups, seen, deadline)) return false;
  }
}

void EpochProcess::list(EpochWatcher& watcher) {
  const std::lock_guard lock(mutex);
  if (watcher.listed) return;
  watcher.listed = true;
  watcher.previous = nullptr;
  watcher.next = watchers;
  if (watchers != nullptr) watchers->previous = &watcher;
  watchers = &watcher;
  watching.fetch_add(1);
}

void EpochProcess::unlist(EpochWatcher& watcher) {
  const std::lock_guard lock(mutex);
  if (!watcher.listed) return;
  watcher.listed = false;
  (watcher.previous != nullptr ? watcher.previous->next : watchers) = watcher.next;
  if (watcher.next != nullptr) watcher.next->previous = watcher.previous;
  watching.fetch_sub(1);
}

void EpochProcess::closed() {
  wakeups.fetch_add(1, std::memory_order_acq_rel);
  futex(wakeups, FUTEX_WAKE_PRIVATE, INT_MAX);
  if (watching.load() == 0) return;
  const std::lock_guard lock(mutex);
  for (const EpochWatcher* watcher = watchers; watcher != nullptr; watcher = watcher->next) watcher->told();
}

void EpochProcess::wakeReaders(uint64_t mark) {
  const std::lock_guard lock(mutex);
  for (Slot& slot : slots) {
    // Forgotten first: a reader that looks again is turned away again, if it is.
    if ((slot.turnedAway.fetch_and(~mark) & mark) != 0 && slot.wake) slot.wake();
  }
}

}  // namespace mdev
