// One descriptor on its way through an engine, and everything it needs on the way.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "dsa/completion_record.h"
#include "dsa/descriptor.h"
#include "dsa/execution.h"
#include "dsa/guest_access.h"
#include "dsa/limits.h"
#include "engine/job_waker.h"

namespace mdev {

struct DeviceContext;
struct Pasid;
struct SoftwareError;
class Engine;
class QueueRun;
class StateReader;
class StateWriter;

/// How a turn of a job ended.
enum class Turn : uint8_t {
  yield,      ///< there is more to do
  parked,     ///< waits for a message or for other descriptors
  excluded,   ///< nothing was done: the owner has its guest memory to itself for now
  completed,  ///< record and interrupt are out
  abandoned,  ///< aborted: no record, no interrupt
};

/// Executes a descriptor, and the members of a batch one after the other, in turns of at most one chunk. Allocated when
/// its queue is enabled, and used for one descriptor after another.
class Job {
 public:
  Job();
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // --- Under the lock of its run ---

  /// Has what it needs to take a descriptor on. False when there is no memory for that: it may be tried again.
  bool prepare() noexcept { return memory_.makeBuffers(); }
  /// Takes a descriptor on for an engine. `next` is the one behind it, or null when there is none yet.
  void begin(std::shared_ptr<QueueRun> run, Engine& engine, uint64_t sequence, const dsa::Descriptor& descriptor,
             const dsa::Descriptor* next);
  /// An engine goes on with a descriptor that no engine has.
  void adopt(std::shared_ptr<QueueRun> run, Engine& engine);
  /// Its engine lets go of the descriptor, which waits for another one.
  void handBack();
  /// The last turn of a descriptor that was aborted, and for which nothing is outstanding unless the run is detached:
  /// it touches no guest memory, and tells the guest only what that may have seen already. By whoever has the job then.
  Turn endAbandoned(QueueRun& run);
  /// The descriptor has ended: the job is free.
  void end();
  /// Has a descriptor.
  bool busy() const { return busy_; }
  /// Who executes it; null while the job is free, and while no engine has its descriptor.
  Engine* engine() const { return engine_; }
  /// Has a descriptor that no engine has.
  bool waitsForEngine() const { return busy_ && engine_ == nullptr; }
  uint64_t sequence() const { return sequence_; }
  /// Not that of a batch's member.
  const dsa::Descriptor& descriptor() const { return own_.execution.descriptor; }
  /// Gives the descriptor up: it is abandoned at its chunk, and its requests by message can be cancelled.
  void abort() {
    aborted_.store(true);
    messages_.abandonedBefore.store(sequence_ + 1);
  }
  /// While its device is suspended: its requests by message can be cancelled, and it is given up no more than before.
  void releaseMessages() { messages_.abandonedBefore.store(sequence_ + 1); }
  bool waitsForEarlier() const { return waitsForEarlier_; }
  void setWaitsForEarlier(bool waits) { waitsForEarlier_ = waits; }
  /// The guest can see, or is about to, that the descriptor has ended, or its last turn is over: its engine ends it
  /// now, waiting for nobody.
  bool ending() const { return ending_.load(std::memory_order_acquire); }

  /// Any thread: it was given up.
  bool aborted() const { return aborted_.load(); }

  /// Its engine has nothing to do for it: it waits for an answer to a request by message, or for other descriptors.
  bool parked() const { return parked_.load(); }

  // --- Its engine's thread ---

  /// Whether a turn would get anywhere.
  bool ready() const;
  /// What it was parked for has come. Sequentially consistent: who queues a descriptor sees it, or is seen afterwards.
  void unpark() { parked_.store(false); }
  /// Of the guest memory that a turn works on.
  const EpochDomain& epochs() const { return memory_.dma().epochs(); }
  /// Works for at most one chunk. Inside a guard of `epochs()`.
  Turn turn();
  /// Whose it is, while an engine has it.
  const std::shared_ptr<QueueRun>& run() const { return run_; }
  /// Gives up the reference to the run, which the caller needs to finish the job.
  std::shared_ptr<QueueRun> release();

  // --- While its device is suspended: the owner thread ---

  /// A request by message has not been answered.
  bool outstanding() const { return memory_.outstanding(); }
  /// Those of `releaseMessages` were cancelled: the next turn makes them again.
  void interrupted();
  /// Its record's status went by message, and the guest may have seen it: even if the descriptor is aborted, its
  /// interrupt is to come. Nothing is outstanding.
  bool revealed() const;
  /// Of one that is revealed: the handle of that interrupt, if there is one to come.
  std::optional<uint16_t> dueInterrupt() const;
  /// It ends as completed then, and not a batch as abandoned.
  bool completesRevealed() const { return revealed() && &activeUnit() == &own_; }
  /// How far the descriptor has come. Nothing is outstanding. Throws std::bad_alloc.
  void save(StateWriter& archive) const;
  /// The same for one whose client has gone: as if it had not begun, so that nothing of it is told. Its run says that
  /// it is aborted.
  void saveForgotten(StateWriter& archive) const;
  /// Becomes what another job was. What it then has cannot make an engine do anything that the device's capabilities
  /// and these limits do not allow; the reader says whether that is so. Throws std::bad_alloc.
  void restore(StateReader& archive, const QueueRun& run);
  /// Of a batch that the event log has an entry of: its number there.
  std::optional<uint8_t> loggedBatch() const { return endsInLog_ ? std::optional(logBatch_) : std::nullopt; }
  /// The batch's end goes to the event log, under this number.
  void endInLog(uint8_t batch);

  /// The next job of the engine's list.
  Job* next = nullptr;

 private:
  enum class Stage : uint8_t {
    check,
    operate,
    settle,
    recordBody,
    recordStatus,
    // Of entries of the event log. Not in a device's state, where an entry has not begun.
    entry,
    entrySent,
  };

  /// Slot of the guest access from which a record goes out; the operation is over by then.
  static constexpr unsigned kRecordSlot = 2;

  /// A descriptor that is executed: the job's own, or a member of its batch.
  struct Unit {
    dsa::Execution execution;
    Stage stage = Stage::check;
    bool member = false;
    uint16_t batchIndex = 0;
    /// Its interrupt handle may be used.
    bool handleGood = false;
  };

  /// The list of a batch.
  struct Batch {
    /// Descriptors fetched at a time.
    static constexpr uint32_t kFetch = 16;
    std::array<std::byte, kFetch * dsa::kDescriptorSize> list;
    /// Bytes in `list`, and those of them that are taken.
    uint32_t fetched = 0;
    uint32_t taken = 0;
    /// Members begun, and ended.
    uint32_t begun = 0;
    uint32_t ended = 0;
    bool memberActive = false;
    bool failed = false;
  };

  /// Where a descriptor that comes later has its operands: only a hint, never acted upon.
  struct Upcoming {
    uint64_t address1 = 0;
    uint64_t address2 = 0;
    /// 0: nothing to prepare for.
    uint32_t size = 0;
    /// The second operand is not wanted in the caches.
    bool passesCaches = false;
  };

  template <typename Self, typename Archive>
  static void exchange(Self& self, Archive& archive, bool aborted);
  Turn takeTurn();
  bool plausible(const QueueRun& run) const;
  const Unit& activeUnit() const;

  /// Whom the descriptor acts for, and the members of its batch.
  std::optional<Pasid> submitter() const;
  void start(Unit& unit, const dsa::Descriptor& descriptor);
  static Upcoming upcomingOf(const dsa::Descriptor& descriptor);
  Upcoming nextOf(const Unit& unit) const;
  void lookAhead(const Unit& unit);
  dsa::Step advance(Unit& unit, dsa::Budget& budget);
  void check(Unit& unit);
  dsa::Step operate(Unit& unit, dsa::Budget& budget);
  dsa::Step drain(Unit& unit, dsa::Budget& budget);
  dsa::Step batch(Unit& unit, dsa::Budget& budget);
  dsa::Step fetchList(Unit& unit, dsa::Budget& budget);
  void endBatch(Unit& unit, uint8_t status);
  dsa::Step settle(Unit& unit);
  dsa::Step sendStatus(Unit& unit);
  dsa::Step settleStatus(Unit& unit);
  dsa::Step writeRecord(Unit& unit);
  /// To be called before anything by which the guest can tell that the unit has ended.
  void reveal(const Unit& unit) {
    if (!unit.member) ending_.store(true, std::memory_order_release);
  }
  void interrupt(const Unit& unit);
  SoftwareError errorOf(const Unit& unit, uint8_t code) const;
  void reportError(const Unit& unit);
  static bool wantsRecord(const Unit& unit);
  bool logRecord(const Unit& unit, uint8_t code);
  bool settleInLog(const Unit& unit);
  dsa::Step writeEntry(Unit& unit);
  dsa::Step settleEntry(Unit& unit);
  void recordFault(Unit& unit);
  void countFault();
  bool abandonIfAborted();

  dsa::GuestAccess memory_;
  Unit own_;
  Unit member_;
  Batch batch_;
  Upcoming upcoming_;
  bool abandoned_ = false;
  /// Requests by message were cancelled to suspend the device.
  bool retry_ = false;
  /// Another engine had it before.
  bool adopted_ = false;
  /// Its end goes to the event log, where others have gone before that software has to see to first. Of a batch:
  bool endsInLog_ = false;
  /// its number there.
  uint8_t logBatch_ = 0;

  const std::shared_ptr<JobWaker> jobWaker_ = std::make_shared<JobWaker>();
  const std::shared_ptr<Waker> waker_ = jobWaker_;
  /// Whose the requests are. Outlives them, as long as the run does: none is left when that goes (QueueDevice::reset).
  MessageOwner messages_;
  /// Not what `messages_` says: an engine may look while only requests are given up.
  std::atomic<bool> aborted_{false};
  std::shared_ptr<QueueRun> run_;
  bool busy_ = false;
  Engine* engine_ = nullptr;
  uint64_t sequence_ = 0;
  bool waitsForEarlier_ = false;
  std::atomic<bool> ending_{false};
  /// Written by its engine's thread. Begun or adopted, it is not parked.
  std::atomic<bool> parked_{false};
};

}  // namespace mdev
