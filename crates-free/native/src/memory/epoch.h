// Readers without locks: memory that was unpublished is freed when no reader can see it any more.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <utility>

namespace mdev {

/// The one reclamation domain of the process. Readers register once per thread; a guard costs two atomic exchanges on a
/// cache line of its own. Pointers that guards protect may be published with release and read with acquire: the domain
/// asks for no stronger order.
class EpochDomain {
 public:
  /// Never destroyed: engine threads may outlive static destructors.
  static EpochDomain& instance();
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  /// A thread's registration. Create it once per thread (it allocates), keep it for the thread's life.
  class Reader {
   public:
    Reader();
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    friend class EpochGuard;
    friend class EpochDomain;
    struct Slot;
    Slot* slot_;
    /// Open guards of this thread; only the outermost one enters and leaves.
    uint32_t depth_ = 0;
  };

  struct Retired {
    uint64_t ticket;
    std::function<void()> free;
  };
  /// What is to be freed one day, made while there is memory for it.
  class Retirement {
   public:
    /// `free` must not throw. May throw std::bad_alloc.
    explicit Retirement(std::function<void()> free) { node_.push_back({0, std::move(free)}); }

   private:
    friend class EpochDomain;
    std::list<Retired> node_;
  };

  /// Blocks until every guard that was open when this was called is closed, then runs what has become free. Guards last
  /// at most one chunk. Must not be called by a thread that holds a guard: it would wait for itself.
  void synchronize();
  /// Frees it once every guard open now is closed: here if there is none, else at a later `retire`, `synchronize` or
  /// `collect` of any thread. Allocates nothing.
  void retire(Retirement retirement) noexcept;
  /// Runs what has become free; never waits.
  void collect();

  /// A ticket for what the caller has unpublished before: readers are done with it once `passed(ticket)`. For owners
  /// that keep their own list of garbage.
  uint64_t advance();
  /// True when every guard that was open at `advance` is closed. Never waits.
  bool passed(uint64_t ticket);

 private:
  friend class EpochGuard;
  EpochDomain();
  ~EpochDomain();
  struct State;
  std::unique_ptr<State> state_;
};

/// While it lives, nothing that its thread reads from an epoch-protected structure is freed. May nest.
class EpochGuard {
 public:
  explicit EpochGuard(EpochDomain::Reader& reader);
  ~EpochGuard();
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  EpochDomain::Reader& reader_;
};

}  // namespace mdev
