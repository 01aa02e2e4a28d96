// The event log: errors in a ring in guest memory. DSA specification 5.9, 9.2.16 and 9.2.17.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/software_error.h"
#include "irq/irq_table.h"
#include "registers/register_memory.h"

namespace mdev {

struct QueueCounters;
class QueueRun;

/// EVLCFG of a device that is enabled, and what GENCAP says of it.
struct EventLogConfig {
  /// A multiple of 4,096.
  uint64_t address = 0;
  /// Entries, 64 to 65,535; one of them is always free.
  uint32_t entries = 0;
  /// Bytes of an entry: 64, 128 or 256.
  uint32_t entrySize = 0;
};

/// Errors wait in a run of descriptors of their own, which engines serve as they serve a queue: one at a time, in
/// order, in turns. So what holds for a descriptor in flight holds for an entry: it waits for a client without keeping
/// an engine, is abandoned by a reset, and goes on after a suspension. Where the next entry goes is in the guest's
/// register alone.
class EventLog {
 public:
  /// Errors that wait to be written, at most.
  static constexpr uint32_t kMostWaiting = 1024;

  /// Offsets of EVLSTATUS (64 bits; none in a device without event log), INTCAUSE and GENCTRL in `memory`.
  struct Offsets {
    std::optional<uint32_t> status;
    uint32_t interruptCause;
    uint32_t generalControl;
  };
  EventLog(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs, Offsets offsets);
  ~EventLog();

  // --- Owner thread ---

  bool present() const { return offsets_.status.has_value(); }
  /// Errors go to the guest's log from now on, by way of a run that a group serves.
  void open(const EventLogConfig& config, std::shared_ptr<QueueRun> run, std::shared_ptr<QueueCounters> counters);
  /// Takes no errors any more. Those that wait stay.
  void close();

  // --- Any thread ---

  enum class Taken : uint8_t {
    closed,  ///< there is no log
    queued,
    full,  ///< too many wait; the error is lost
  };
  /// Queues an error. Never blocks, never allocates.
  Taken append(const SoftwareError& error);
  bool isOpen() const { return open_.load(std::memory_order_acquire); }
  /// What waits by now; `closing`: and nothing comes behind it.
  uint64_t mark(bool closing);
  /// Everything before a mark has been written, or is lost.
  bool writtenBefore(uint64_t mark) const;
  /// The number of a batch that is to be told from others that are in progress.
  uint8_t nextBatch() { return batches_.fetch_add(1, std::memory_order_relaxed); }

  /// Errors that were written to the log, and that were lost because it was full, not to be written, or too slow.
  uint64_t written() const { return written_.load(std::memory_order_relaxed); }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }
  void countLost() { lost_.fetch_add(1, std::memory_order_relaxed); }
  /// The counts of another device that this one goes on for.
  void adopt(uint64_t written, uint64_t lost, uint8_t batches) {
    written_.store(written, std::memory_order_relaxed);
    lost_.store(lost, std::memory_order_relaxed);
    batches_.store(batches, std::memory_order_relaxed);
  }
  uint8_t batches() const { return batches_.load(std::memory_order_relaxed); }

  // --- The engine that writes an entry ---

  uint32_t entrySize() const { return config_.entrySize; }
  /// Whether the guest has left no room, by the head that it says now. A head outside of the log is never reached.
  bool full() const;
  /// Address of the next entry. None when it would be beyond all addresses.
  std::optional<uint64_t> place() const;
  /// The entry is there: shows it to the guest, with the interrupt if that is enabled and none is pending.
  void advance();

 private:
  std::atomic_ref<uint32_t> headWord() const { return memory_->word32(*offsets_.status); }
  std::atomic_ref<uint32_t> tailWord() const { return memory_->word32(*offsets_.status + 4); }
  uint32_t tail() const;
  bool roomLocked() const;

  const std::shared_ptr<RegisterMemory> memory_;
  const std::shared_ptr<IrqTable> irqs_;
  const Offsets offsets_;
  /// Written while no entry waits.
  EventLogConfig config_;
  /// Of the queue of errors: one may come from any thread.
  mutable std::mutex mutex_;
  /// Written under the lock.
  std::atomic<bool> open_{false};
  std::shared_ptr<QueueRun> run_;
  std::shared_ptr<QueueCounters> counters_;
  std::atomic<uint8_t> batches_{0};
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> lost_{0};
};

}  // namespace mdev
