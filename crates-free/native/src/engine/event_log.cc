#include "engine/event_log.h"

#include <utility>

#include "engine/group.h"
#include "engine/queue_run.h"
#include "engine/software_errors.h"

namespace mdev {
namespace {

// The upper half of EVLSTATUS: the tail, and whether the guest has still to take an interrupt.
constexpr uint32_t kTail = 0xffff;
constexpr uint32_t kPending = 1u << 30;
constexpr uint32_t kHead = 0xffff;

/// GENCTRL: interrupt for entries of the event log.
constexpr uint32_t kEventLogInterrupt = 1u << 2;

}  // namespace

EventLog::EventLog(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs, Offsets offsets)
    : memory_(std::move(memory)), irqs_(std::move(irqs)), offsets_(offsets) {}

EventLog::~EventLog() = default;

void EventLog::open(const EventLogConfig& config, std::shared_ptr<QueueRun> run,
                    std::shared_ptr<QueueCounters> counters) {
  const std::lock_guard lock(mutex_);
  config_ = config;
  run_ = std::move(run);
  counters_ = std::move(counters);
  open_.store(true, std::memory_order_release);
}

void EventLog::close() {
  std::shared_ptr<QueueRun> last;
  const std::lock_guard lock(mutex_);
  open_.store(false, std::memory_order_release);
  last.swap(run_);
}

/// What an engine has in work counts, too: it has to have room in the queue of the device that goes on with it.
bool EventLog::roomLocked() const {
  const uint64_t ended = counters_->completed.load() + counters_->abandoned.load();
  return counters_->submitted.load() - ended < kMostWaiting;
}

EventLog::Taken EventLog::append(const SoftwareError& error) {
  if (!isOpen()) return Taken::closed;
  std::shared_ptr<QueueRun> run;
  {
    const std::lock_guard lock(mutex_);
    if (!open_.load(std::memory_order_relaxed)) return Taken::closed;
    if (!roomLocked() || !run_->push(eventLogEntry(error), kMostWaiting)) return Taken::full;
    run_->announce();
    run = run_;
  }
  // The group wakes engines, which have locks of their own.
  if (const std::shared_ptr<Group> group = run->group.lock(); group != nullptr) group->submitted(*run, 1);
  return Taken::queued;
}

uint64_t EventLog::mark(bool closing) {
  const std::lock_guard lock(mutex_);
  if (closing) open_.store(false, std::memory_order_release);
  return run_ == nullptr ? 0 : run_->submitted();
}

bool EventLog::writtenBefore(uint64_t mark) const {
  std::shared_ptr<QueueRun> run;
  {
    const std::lock_guard lock(mutex_);
    run = run_;
  }
  return run == nullptr || run->endedBefore(mark);
}

uint32_t EventLog::tail() const {
  const uint32_t tail = tailWord().load(std::memory_order_relaxed) & kTail;
  // Registers that come from a client may say anything.
  return tail < config_.entries ? tail : 0;
}

bool EventLog::full() const {
  const uint32_t next = tail() + 1 == config_.entries ? 0 : tail() + 1;
  return next == (headWord().load(std::memory_order_acquire) & kHead);
}

std::optional<uint64_t> EventLog::place() const {
  const uint64_t offset = uint64_t{tail()} * config_.entrySize;
  if (~uint64_t{0} - config_.address < offset) return std::nullopt;
  return config_.address + offset;
}

void EventLog::advance() {
  const uint32_t next = tail() + 1 == config_.entries ? 0 : tail() + 1;
  const std::atomic_ref<uint32_t> word = tailWord();
  uint32_t seen = word.load(std::memory_order_relaxed);
  while (!word.compare_exchange_weak(seen, (seen & ~kTail) | next, std::memory_order_acq_rel)) {
  }
  written_.fetch_add(1, std::memory_order_relaxed);
  const uint32_t control = memory_->word32(offsets_.generalControl).load(std::memory_order_acquire);
  // A guest that clears the bit looks at the tail afterwards: one of both is seen.
  if ((control & kEventLogInterrupt) == 0 || (word.fetch_or(kPending, std::memory_order_acq_rel) & kPending) != 0) {
    return;
  }
  raiseCause(*memory_, offsets_.interruptCause, kCauseEventLog, *irqs_);
}

}  // namespace mdev
