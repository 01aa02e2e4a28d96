#include "memory/epoch.h"

#include <algorithm>
#include <cassert>
#include <mutex>

#include "memory/epoch_process.h"
#include "memory/pause.h"

namespace mdev {

namespace {

using Slot = EpochDomain::Reader::Slot;

/// How often a reader that was turned away looks before it does something else.
constexpr int kAdmissionSpins = 200;

/// The process's, so that a word needs no look at its domain, which may be gone. Trivially made and destroyed: guards
/// read it.
alignas(64) constinit std::atomic<uint64_t> currentEpoch{1};

/// That were ever made.
constinit std::atomic<uint64_t> domains{0};

EpochProcess& process() { return EpochProcess::instance(); }

/// The epoch of the oldest guard of the domain that may have begun before the ticket; the ticket if there is none.
uint64_t oldestGuard(Slot* head, const EpochDomain* domain, uint64_t ticket) {
  uint64_t oldest = ticket;
  for (Slot* slot = head; slot != nullptr; slot = slot->next) oldest = std::min(oldest, slot->oldest(domain, ticket));
  return oldest;
}

}  // namespace

EpochDomain::EpochDomain() : mark_(uint64_t{1} << (domains.fetch_add(1, std::memory_order_relaxed) % 64)) {}

EpochDomain::Reader::Reader(std::function<void()> wake) {
  EpochProcess& all = process();
  const std::lock_guard lock(all.mutex);
  const auto spare = std::find_if(all.slots.begin(), all.slots.end(), [](const Slot& slot) { return !slot.taken; });
  if (spare != all.slots.end()) {
    spare->taken = true;
    slot_ = &*spare;
  } else {
    slot_ = &all.slots.emplace_front(all.slots.empty() ? nullptr : &all.slots.front());
  }
  slot_->wake = std::move(wake);
}

EpochDomain::Reader::~Reader() {
  const std::lock_guard lock(process().mutex);
  slot_->wake = nullptr;
  slot_->turnedAway.store(0);
  slot_->taken = false;
}

void EpochDomain::raiseSafe(uint64_t ticket) {
  uint64_t known = safe_.load(std::memory_order_acquire);
  while (known < ticket && !safe_.compare_exchange_weak(known, ticket, std::memory_order_acq_rel)) {
  }
}

void EpochDomain::synchronize() {
  const uint64_t ticket = advance();
  // Nobody is in, or all that is in turns round.
  if (empty_ == 0) process().waitFor(this, ticket, {});
  raiseSafe(ticket);
  collect();
}

void EpochDomain::retire(Retirement retirement) noexcept {
  EpochProcess& all = process();
  {
    const std::lock_guard lock(all.mutex);
    retirement.node_.front().domain = this;
    retirement.node_.front().ticket = advance();
    all.retired.splice(all.retired.end(), retirement.node_);
  }
  collect();
}

void EpochDomain::collect() {
  EpochProcess& all = process();
  std::list<Retired> free;
  {
    const std::lock_guard lock(all.mutex);
    if (all.retired.empty()) return;
    for (Retired& retired : all.retired) retired.seen = false;
    // Each slot once, however much is retired: all tickets are older than this look.
    for (Slot& slot : all.slots) {
      const uint64_t word = slot.word.fetch_or(0, std::memory_order_acq_rel);
      if ((word & Slot::kActive) == 0) continue;
      // A domain that was made where an earlier one lay has younger guards only.
      const EpochDomain* const domain = slot.domain.load(std::memory_order_acquire);
      for (Retired& retired : all.retired) {
        if (retired.domain == domain && Slot::isOlder(word, retired.ticket)) retired.seen = true;
      }
    }
    for (auto place = all.retired.begin(); place != all.retired.end();) {
      const auto next = std::next(place);
      if (!place->seen) free.splice(free.end(), all.retired, place);
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

// Sequentially consistent, all words: either the reader sees that it may come in, or who lets readers in sees that this
// one was turned away. Its mark may be gone because another domain has the same one: then that one wakes it, and it
// comes here again.
bool EpochDomain::noteTurnedAway(Reader& reader) const {
  reader.slot_->turnedAway.fetch_or(mark_);
  turnedAway_.store(true);
  return exclusions_.load() != 0;
}

bool EpochDomain::admitsSoon(Reader& reader) const {
  for (int spins = 0; spins < kAdmissionSpins; ++spins) {
    if (exclusions_.load(std::memory_order_acquire) == 0) return true;
    pause();
  }
  return !noteTurnedAway(reader);
}

uint64_t EpochDomain::exclude() {
  exclusions_.fetch_add(1);
  return advance();
}

void EpochDomain::admit() {
  if (exclusions_.fetch_sub(1) == 1 && turnedAway_.exchange(false)) process().wakeReaders(mark_);
}

EpochGuard::EpochGuard(EpochDomain::Reader& reader, const EpochDomain& domain) : reader_(reader) {
  Slot& slot = *reader_.slot_;
  if (reader_.depth_++ != 0) {
    assert(slot.domain.load(std::memory_order_relaxed) == &domain);
    return;
  }
  slot.domain.store(&domain, std::memory_order_release);
  const uint64_t epoch = currentEpoch.load(std::memory_order_acquire);
  slot.word.exchange((epoch << Slot::kEpochShift) | Slot::kActive, std::memory_order_acq_rel);
}

EpochGuard::~EpochGuard() {
  if (--reader_.depth_ != 0) return;
  const uint64_t word = reader_.slot_->word.exchange(0, std::memory_order_acq_rel);
  if ((word & Slot::kWaited) != 0) process().closed();
}

}  // namespace mdev
