// Readers without locks: memory that was unpublished is freed when no reader can see it any more.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <utility>

namespace mdev {

/// What a set of guards protects: one address space. Who takes something away waits for the guards of its own domain
/// only, however long those of others last.
///
/// Readers register once per thread, for all domains; a guard costs two atomic exchanges on a cache line of its own.
/// Pointers that guards protect may be published with release and read with acquire: the domain asks for no stronger
/// order. Any thread.
class EpochDomain {
 public:
  EpochDomain();
  /// No guard of it may be left.
  ~EpochDomain() = default;
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  /// A thread's registration. Create it once per thread (it allocates), keep it for the thread's life.
  class Reader {
   public:
    /// `wake`, if given, is called when a domain lets readers in again that has turned this one away, and now and then
    /// when it is another domain: from any thread, inside a lock, so it may only signal.
    explicit Reader(std::function<void()> wake = nullptr);
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    struct Slot;

   private:
    friend class EpochDomain;
    friend class EpochGuard;
    Slot* slot_;
    /// Open guards of this thread; only the outermost one enters and leaves.
    uint32_t depth_ = 0;
  };

  struct Retired {
    /// Only to be compared with: it may be gone.
    const EpochDomain* domain;
    uint64_t ticket;
    std::function<void()> free;
    /// Of `collect`: a guard is open that may see it.
    bool seen = false;
  };
  /// What is to be freed one day, made while there is memory for it.
  class Retirement {
   public:
    /// `free` must not throw. May throw std::bad_alloc.
    explicit Retirement(std::function<void()> free) { node_.push_back({nullptr, 0, std::move(free), false}); }

   private:
    friend class EpochDomain;
    std::list<Retired> node_;
  };

  /// Blocks until every guard of this domain that was open when this was called is closed. Guards last at most one
  /// chunk of work, which takes as long as the pages that it touches. Must not be called by a thread that holds a guard
  /// of it: it would wait for itself. Does not wait while a ReaderExclusion of this domain is complete.
  void synchronize();
  /// Frees it once every guard of this domain open now is closed: here if there is none, else at a later `retire`,
  /// `synchronize` or `collect` of any domain and thread. Allocates nothing. It may free the domain itself.
  void retire(Retirement retirement) noexcept;
  /// Frees what has become free, of all domains; never waits.
  static void collect();

  /// A ticket for what the caller has unpublished before: readers are done with it once `passed(ticket)`. For owners
  /// that keep their own list of garbage.
  uint64_t advance();
  /// True when every guard of this domain that was open at `advance` is closed. Never waits.
  bool passed(uint64_t ticket);

  /// Inside a guard: this reader is not to read now, and is to close the guard at once; see ReaderExclusion.
  bool turnsAway() const { return exclusions_.load(std::memory_order_acquire) != 0; }
  /// Outside of guards: whether a reader may come. If not, it is woken when it may.
  bool admits(Reader& reader) const { return !turnsAway() || !noteTurnedAway(reader); }
  /// The same after a short wait: what keeps readers out is mostly over by then.
  bool admitsSoon(Reader& reader) const;

 private:
  friend class ReaderExclusion;
  /// From now on readers are turned away. Returns the ticket of those that may be in.
  uint64_t exclude();
  void admit();
  bool noteTurnedAway(Reader& reader) const;
  void raiseSafe(uint64_t ticket);

  /// Its bit in the words of readers that were turned away: its own in a process of up to 64 domains, else shared.
  const uint64_t mark_;
  /// Every ticket up to here has passed.
  std::atomic<uint64_t> safe_{0};
  std::atomic<uint32_t> exclusions_{0};
  /// Some reader was turned away since readers were last let in.
  mutable std::atomic<bool> turnedAway_{false};
  /// Exclusions that are complete. Owner thread.
  uint32_t empty_ = 0;
};

/// While it lives, nothing that its thread reads from a structure of the domain is freed. May nest, in one domain.
class EpochGuard {
 public:
  EpochGuard(EpochDomain::Reader& reader, const EpochDomain& domain);
  ~EpochGuard();
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  EpochDomain::Reader& reader_;
};

}  // namespace mdev
