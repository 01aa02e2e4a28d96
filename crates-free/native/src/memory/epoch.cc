#include "memory/epoch.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <climits>
#include <cstddef>
#include <mutex>
#include <new>

namespace mdev {

namespace {

// A slot's word: 0 while its thread holds no guard, else the epoch in which the guard opened, shifted, and these bits.
constexpr uint64_t kActive = 1;
constexpr uint64_t kWaited = 2;  // a writer sleeps until this guard closes
constexpr unsigned kEpochShift = 2;

// Most guards close within a few hundred nanoseconds; only behind a copy or a descheduled reader is sleeping cheaper.
constexpr int kSpins = 200;

bool isOlder(uint64_t word, uint64_t ticket) { return (word & kActive) != 0 && (word >> kEpochShift) < ticket; }

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void futex(std::atomic<uint32_t>& word, int operation, uint32_t value) {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  ::syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

}  // namespace

// Why a word that a writer finds inactive (or young) needs no fence: guards and scans change it by read-modify-write
// only, so they are totally ordered. A scan that precedes an entry is read by that entry, which acquires the writer's
// unpublishing; a scan that follows it sees the guard, and its domain. A guard in a later epoch has acquired the
// unpublishing by the epoch itself. A scan that follows an exit acquires everything that the guard did.
//
// A scan looks at the domain behind the word. When it finds an old word and then another domain than its own, either
// the guard is that one's, or the thread has left the guard meanwhile, and by what it stored since the scan has
// acquired everything that the guard did.
struct alignas(64) EpochDomain::Reader::Slot {
  explicit Slot(Slot* successor) : next(successor) {}

  /// The epoch of a guard of the domain, if one is open that may have begun before the ticket; else the ticket.
  uint64_t oldest(const EpochDomain* wanted, uint64_t ticket) {
    const uint64_t seen = word.fetch_or(0, std::memory_order_acq_rel);
    if (!isOlder(seen, ticket) || domain.load(std::memory_order_acquire) != wanted) return ticket;
    return seen >> kEpochShift;
  }

  std::atomic<uint64_t> word{0};
  std::atomic<const EpochDomain*> domain{nullptr};
  Slot* const next;
  bool taken = true;  // guarded by Process::mutex
};

namespace {

using Slot = EpochDomain::Reader::Slot;

/// The process's, so that a word needs no look at its domain, which may be gone. Trivially made and destroyed: guards
/// read it.
alignas(64) constinit std::atomic<uint64_t> currentEpoch{1};

/// What all domains share.
struct Process {
  std::mutex mutex;
  std::list<Slot> slots;  // newest first; never shrinks, because a scan walks `next` without the mutex
  std::list<EpochDomain::Retired> retired;
  std::atomic<uint32_t> wakeups{0};

  Slot* head() {
    const std::lock_guard lock(mutex);
    return slots.empty() ? nullptr : &slots.front();
  }

  void waitFor(Slot& slot, const EpochDomain* domain, uint64_t ticket) {
    for (int spins = 0; spins < kSpins; ++spins) {
      if (!isOlder(slot.word.load(std::memory_order_relaxed), ticket)) break;
      if (slot.domain.load(std::memory_order_relaxed) != domain) break;
      pause();
    }
    for (;;) {
      // Read before the check: an exit after the check changes it, and the kernel then refuses to sleep.
      const uint32_t seen = wakeups.load(std::memory_order_acquire);
      const uint64_t epoch = slot.oldest(domain, ticket);
      if (epoch >= ticket) return;
      uint64_t word = epoch << kEpochShift | kActive;
      if (slot.word.compare_exchange_strong(word, word | kWaited, std::memory_order_acq_rel) ||
          word == (epoch << kEpochShift | kActive | kWaited)) {
        futex(wakeups, FUTEX_WAIT_PRIVATE, seen);
      }
    }
  }
};

// Never destroyed: engine threads may outlive static destructors.
Process& process() {
  alignas(Process) static std::byte storage[sizeof(Process)];
  static Process* const instance = new (storage) Process;
  return *instance;
}

/// The epoch of the oldest guard of the domain that may have begun before the ticket; the ticket if there is none.
uint64_t oldestGuard(Slot* head, const EpochDomain* domain, uint64_t ticket) {
  uint64_t oldest = ticket;
  for (Slot* slot = head; slot != nullptr; slot = slot->next) oldest = std::min(oldest, slot->oldest(domain, ticket));
  return oldest;
}

}  // namespace

EpochDomain::Reader::Reader() {
  Process& all = process();
  const std::lock_guard lock(all.mutex);
  const auto spare = std::find_if(all.slots.begin(), all.slots.end(), [](const Slot& slot) { return !slot.taken; });
  if (spare != all.slots.end()) {
    spare->taken = true;
    slot_ = &*spare;
  } else {
    slot_ = &all.slots.emplace_front(all.slots.empty() ? nullptr : &all.slots.front());
  }
}

EpochDomain::Reader::~Reader() {
  const std::lock_guard lock(process().mutex);
  slot_->taken = false;
}

void EpochDomain::raiseSafe(uint64_t ticket) {
  uint64_t known = safe_.load(std::memory_order_acquire);
  while (known < ticket && !safe_.compare_exchange_weak(known, ticket, std::memory_order_acq_rel)) {
  }
}

void EpochDomain::synchronize() {
  const uint64_t ticket = advance();
  for (Slot* slot = process().head(); slot != nullptr; slot = slot->next) process().waitFor(*slot, this, ticket);
  raiseSafe(ticket);
  collect();
}

void EpochDomain::retire(Retirement retirement) noexcept {
  Process& all = process();
  {
    const std::lock_guard lock(all.mutex);
    retirement.node_.front().domain = this;
    retirement.node_.front().ticket = advance();
    all.retired.splice(all.retired.end(), retirement.node_);
  }
  collect();
}

void EpochDomain::collect() {
  Process& all = process();
  std::list<Retired> free;
  {
    const std::lock_guard lock(all.mutex);
    Slot* const head = all.slots.empty() ? nullptr : &all.slots.front();
    for (auto place = all.retired.begin(); place != all.retired.end();) {
      const auto next = std::next(place);
      // A domain that was made where an earlier one lay has younger guards only.
      if (oldestGuard(head, place->domain, place->ticket) == place->ticket) free.splice(free.end(), all.retired, place);
      place = next;
    }
  }
  // Outside the lock: what is freed may retire more.
  for (Retired& retired : free) retired.free();
}

uint64_t EpochDomain::advance() { return currentEpoch.fetch_add(1, std::memory_order_acq_rel) + 1; }

bool EpochDomain::passed(uint64_t ticket) {
  if (ticket <= safe_.load(std::memory_order_acquire)) return true;
  const uint64_t now = currentEpoch.load(std::memory_order_acquire);
  const uint64_t oldest = oldestGuard(process().head(), this, now);
  raiseSafe(oldest);
  return ticket <= oldest;
}

EpochGuard::EpochGuard(EpochDomain::Reader& reader, const EpochDomain& domain) : reader_(reader) {
  Slot& slot = *reader_.slot_;
  if (reader_.depth_++ != 0) {
    assert(slot.domain.load(std::memory_order_relaxed) == &domain);
    return;
  }
  slot.domain.store(&domain, std::memory_order_release);
  const uint64_t epoch = currentEpoch.load(std::memory_order_acquire);
  slot.word.exchange((epoch << kEpochShift) | kActive, std::memory_order_acq_rel);
}

EpochGuard::~EpochGuard() {
  if (--reader_.depth_ != 0) return;
  const uint64_t word = reader_.slot_->word.exchange(0, std::memory_order_acq_rel);
  if ((word & kWaited) == 0) return;
  std::atomic<uint32_t>& wakeups = process().wakeups;
  wakeups.fetch_add(1, std::memory_order_acq_rel);
  futex(wakeups, FUTEX_WAKE_PRIVATE, INT_MAX);
}

}  // namespace mdev
