// What all epoch domains of a process share: the slots of its readers, what is to be freed, and who waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>

#include "memory/epoch.h"

namespace mdev {

/// Why a word that a writer finds inactive (or young) needs no fence: guards and scans change it by read-modify-write
/// only, so they are totally ordered. A scan that precedes an entry is read by that entry, which acquires the writer's
/// unpublishing; a scan that follows it sees the guard, and its domain. A guard in a later epoch has acquired the
/// unpublishing by the epoch itself. A scan that follows an exit acquires everything that the guard did.
///
/// A scan looks at the domain behind the word. When it finds an old word and then another domain than its own, either
/// the guard is that one's, or the thread has left the guard meanwhile, and by what it stored since the scan has
/// acquired everything that the guard did.
struct alignas(64) EpochDomain::Reader::Slot {
  /// What a word says: 0 while its thread holds no guard, else the epoch in which the guard opened, shifted, and these
  /// bits.
  static constexpr uint64_t kActive = 1;
  static constexpr uint64_t kWaited = 2;  // somebody wants to know when this guard closes
  static constexpr unsigned kEpochShift = 2;

  explicit Slot(Slot* successor) : next(successor) {}

  static bool isOlder(uint64_t word, uint64_t ticket) {
    return (word & kActive) != 0 && (word >> kEpochShift) < ticket;
  }
  /// The epoch of a guard of the domain, if one is open that may have begun before the ticket; else the ticket.
  uint64_t oldest(const EpochDomain* wanted, uint64_t ticket) {
    const uint64_t seen = word.fetch_or(0, std::memory_order_acq_rel);
    if (!isOlder(seen, ticket) || domain.load(std::memory_order_acquire) != wanted) return ticket;
    return seen >> kEpochShift;
  }
  /// Whether such a guard is open. Then whoever closes it tells those who wait.
  bool watch(const EpochDomain* wanted, uint64_t ticket);

  std::atomic<uint64_t> word{0};
  std::atomic<const EpochDomain*> domain{nullptr};
  /// Marks of the domains that have turned the reader away and not let it in since.
  std::atomic<uint64_t> turnedAway{0};
  Slot* const next;
  // Guarded by EpochProcess::mutex.
  bool taken = true;
  std::function<void()> wake;
};

/// Somebody who does not sleep until a guard closes, but is told.
struct EpochWatcher {
  std::function<void()> told;
  EpochWatcher* next = nullptr;
  EpochWatcher* previous = nullptr;
  bool listed = false;
};

struct EpochProcess {
  using Slot = EpochDomain::Reader::Slot;
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  std::mutex mutex;
  std::list<Slot> slots;  // newest first; never shrinks, because a scan walks `next` without the mutex
  std::list<EpochDomain::Retired> retired;
  EpochWatcher* watchers = nullptr;
  std::atomic<uint32_t> watching{0};
  std::atomic<uint32_t> wakeups{0};

  /// Never destroyed: engine threads may outlive static destructors.
  static EpochProcess& instance();

  Slot* head() {
    const std::lock_guard lock(mutex);
    return slots.empty() ? nullptr : &slots.front();
  }
  /// Waits until every guard of the domain that may have begun before the ticket is closed. False when one is still
  /// open at the deadline.
  bool waitFor(const EpochDomain* domain, uint64_t ticket, const Deadline& deadline);
  void list(EpochWatcher& watcher);
  void unlist(EpochWatcher& watcher);
  /// A guard was closed that somebody waits for.
  void closed();
  /// Lets those readers look again that bear the mark of the domain that turned them away.
  void wakeReaders(uint64_t mark);

 private:
  bool waitFor(Slot& slot, const EpochDomain* domain, uint64_t ticket, const Deadline& deadline);
};

}  // namespace mdev
