#include "memory/epoch.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstddef>
#include <list>
#include <mutex>
#include <new>
#include <utility>

namespace mdev {

namespace {

// A slot's word: 0 while its thread holds no guard, else the epoch in which the guard opened, shifted, and these bits.
constexpr uint64_t kActive = 1;
constexpr uint64_t kWaited = 2;  // a writer sleeps until this guard closes
constexpr unsigned kEpochShift = 2;

// Most guards close within a few hundred nanoseconds; only behind a copy or a descheduled reader is sleeping cheaper.
constexpr int kSpins = 200;

bool blocks(uint64_t word, uint64_t ticket) { return (word & kActive) != 0 && (word >> kEpochShift) < ticket; }

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

struct alignas(64) EpochDomain::Reader::Slot {
  explicit Slot(Slot* successor) : next(successor) {}
  std::atomic<uint64_t> word{0};
  Slot* const next;
  bool taken = true;  // guarded by State::mutex
};

// Why a word that a writer finds inactive (or young) needs no fence: guards and scans change it by read-modify-write
// only, so they are totally ordered. A scan that precedes an entry is read by that entry, which acquires the writer's
// unpublishing; a scan that follows it sees the guard. A guard in a later epoch has acquired the unpublishing by the
// epoch itself. A scan that follows an exit acquires everything that the guard did.
struct EpochDomain::State {
  std::mutex mutex;
  std::list<Reader::Slot> slots;  // newest first; never shrinks, because a scan walks `next` without the mutex
  std::list<Retired> retired;     // by ascending ticket
  alignas(64) std::atomic<uint64_t> epoch{1};
  std::atomic<uint64_t> safe{0};  // every ticket up to here has passed
  std::atomic<uint32_t> wakeups{0};

  Reader::Slot* head() {
    const std::lock_guard lock(mutex);
    return slots.empty() ? nullptr : &slots.front();
  }

  void raiseSafe(uint64_t ticket) {
    uint64_t known = safe.load(std::memory_order_acquire);
    while (known < ticket && !safe.compare_exchange_weak(known, ticket, std::memory_order_acq_rel)) {
    }
  }

  void waitFor(Reader::Slot& slot, uint64_t ticket) {
    for (int spins = 0; spins < kSpins && blocks(slot.word.load(std::memory_order_relaxed), ticket); ++spins) pause();
    for (;;) {
      // Read before the check: an exit after the check changes it, and the kernel then refuses to sleep.
      const uint32_t seen = wakeups.load(std::memory_order_acquire);
      uint64_t word = slot.word.fetch_or(0, std::memory_order_acq_rel);
      if (!blocks(word, ticket)) return;
      if (slot.word.compare_exchange_strong(word, word | kWaited, std::memory_order_acq_rel))
        futex(wakeups, FUTEX_WAIT_PRIVATE, seen);
    }
  }
};

EpochDomain::EpochDomain() : state_(std::make_unique<State>()) {}
EpochDomain::~EpochDomain() = default;

EpochDomain& EpochDomain::instance() {
  alignas(EpochDomain) static std::byte storage[sizeof(EpochDomain)];
  static EpochDomain* const domain = new (storage) EpochDomain;
  return *domain;
}

EpochDomain::Reader::Reader() {
  State& state = *instance().state_;
  const std::lock_guard lock(state.mutex);
  const auto spare = std::find_if(state.slots.begin(), state.slots.end(), [](const Slot& slot) { return !slot.taken; });
  if (spare != state.slots.end()) {
    spare->taken = true;
    slot_ = &*spare;
  } else {
    slot_ = &state.slots.emplace_front(state.slots.empty() ? nullptr : &state.slots.front());
  }
}

EpochDomain::Reader::~Reader() {
  State& state = *instance().state_;
  const std::lock_guard lock(state.mutex);
  slot_->taken = false;
}

void EpochDomain::synchronize() {
  const uint64_t ticket = advance();
  for (Reader::Slot* slot = state_->head(); slot != nullptr; slot = slot->next) state_->waitFor(*slot, ticket);
  state_->raiseSafe(ticket);
  collect();
}

void EpochDomain::retire(Retirement retirement) noexcept {
  {
    const std::lock_guard lock(state_->mutex);
    retirement.node_.front().ticket = advance();
    state_->retired.splice(state_->retired.end(), retirement.node_);
  }
  collect();
}

void EpochDomain::collect() {
  uint64_t newest = 0;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->retired.empty()) return;
    newest = state_->retired.back().ticket;
  }
  passed(newest);
  // One at a time, outside the lock: what is freed may retire more.
  for (;;) {
    std::function<void()> free;
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->retired.empty()) return;
      Retired& oldest = state_->retired.front();
      if (oldest.ticket > newest || oldest.ticket > state_->safe.load(std::memory_order_acquire)) return;
      free = std::move(oldest.free);
      state_->retired.pop_front();
    }
    free();
  }
}

uint64_t EpochDomain::advance() { return state_->epoch.fetch_add(1, std::memory_order_acq_rel) + 1; }

bool EpochDomain::passed(uint64_t ticket) {
  if (ticket <= state_->safe.load(std::memory_order_acquire)) return true;
  uint64_t oldest = state_->epoch.load(std::memory_order_acquire);
  for (Reader::Slot* slot = state_->head(); slot != nullptr; slot = slot->next) {
    const uint64_t word = slot->word.fetch_or(0, std::memory_order_acq_rel);
    if ((word & kActive) != 0) oldest = std::min(oldest, word >> kEpochShift);
  }
  state_->raiseSafe(oldest);
  return ticket <= oldest;
}

EpochGuard::EpochGuard(EpochDomain::Reader& reader) : reader_(reader) {
  if (reader_.depth_++ != 0) return;
  const uint64_t epoch = EpochDomain::instance().state_->epoch.load(std::memory_order_acquire);
  reader_.slot_->word.exchange((epoch << kEpochShift) | kActive, std::memory_order_acq_rel);
}

EpochGuard::~EpochGuard() {
  if (--reader_.depth_ != 0) return;
  const uint64_t word = reader_.slot_->word.exchange(0, std::memory_order_acq_rel);
  if ((word & kWaited) == 0) return;
  std::atomic<uint32_t>& wakeups = EpochDomain::instance().state_->wakeups;
  wakeups.fetch_add(1, std::memory_order_acq_rel);
  futex(wakeups, FUTEX_WAKE_PRIVATE, INT_MAX);
}

}  // namespace mdev
