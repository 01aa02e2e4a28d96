// The state of a suspended device as bytes: what `state` of one device gives, `restore` of another takes.
//
// Magic, version; the number of queues, per queue its counters and, if it is enabled, its configuration and run, else
// (from version 3 on) the interrupts that are due; halves in portals; what the pending command waits for; counts of
// software errors. Then, if the device has an event log: its counts, and if it is open, what is on its way there and
// what has to follow it. What registers say is not among it, nor what the command will do to them: who restores it says
// that.
#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/state_archive.h"
#include "engine/group.h"
#include "engine/queue_device.h"
#include "engine/state_version.h"

namespace mdev {
namespace {

/// "MDQS".
constexpr uint32_t kMagic = 0x5351444d;
constexpr std::size_t kCounters = 5;
constexpr uint32_t kMaxPasid = 0xfffff;
/// Of all queues, in progress.
constexpr uint32_t kMostBatches = 256 * Group::kMostInProgress;

void writeHeader(StateWriter& archive, uint32_t version, uint32_t queues) {
  archive.value(kMagic);
  archive.value(version);
  archive.value(queues);
}

/// All that decides what a queue's descriptors may do: both sides have to have the same.
std::vector<std::byte> describe(const QueueConfig& config) {
  StateWriter archive;
  archive.value(config.size);
  archive.choice(config.dedicated);
  archive.value(config.priority);
  archive.choice(config.pasid.has_value());
  archive.value(config.pasid.value_or(Pasid{}).value);
  archive.choice(config.pasid.value_or(Pasid{}).privileged);
  archive.value(config.limits.maxTransfer);
  archive.value(config.limits.maxBatch);
  archive.choice(config.limits.blockOnFault);
  archive.choice(config.limits.completionInterrupts);
  for (std::size_t opcode = 0; opcode < config.limits.operations.size(); ++opcode) {
    archive.choice(config.limits.operations.test(opcode));
  }
  // Only where there are lists, so that the state of other queues is as release 0.1.0 wrote it.
  if (config.limits.maxList != 0) archive.value(config.limits.maxList);
  return archive.take();
}

std::array<std::atomic<uint64_t>*, kCounters> countersOf(QueueCounters& counters) {
  return {&counters.submitted, &counters.completed, &counters.abandoned, &counters.dropped, &counters.full};
}

/// As they will be when what is left of the run has ended.
void writeCounters(StateWriter& archive, QueueCounters& counters, const QueueRun::Remains& left) {
  for (const std::atomic<uint64_t>* counter : countersOf(counters)) {
    uint64_t value = counter->load();
    if (counter == &counters.completed) value += left.completed;
    if (counter == &counters.abandoned) value += left.abandoned;
    archive.value(value);
  }
}

std::vector<uint16_t> readInterrupts(StateReader& archive, uint32_t handles) {
  std::vector<uint16_t> interrupts(exchangeCount(archive, 0, QueueRun::kMostJobs));
  for (uint16_t& handle : interrupts) {
    archive.value(handle);
    archive.require(handle < handles);
  }
  return interrupts;
}

/// What is read of a state before anything changes.
struct Restored {
  struct Queue {
    /// New ones: engines may still count what the reset device abandons.
    std::shared_ptr<QueueCounters> counters = std::make_shared<QueueCounters>();
    std::shared_ptr<QueueRun> run;
    /// Without a run.
    std::vector<uint16_t> interrupts;
  };
  std::vector<Queue> queues;
  std::vector<PortalRegion::Halves> halves;
  bool commandPending = false;
  std::vector<CommandCompletion::Target> targets;
  uint64_t errors = 0;
  uint64_t errorsLost = 0;

  Queue log;
  CommandCompletion::LogUse logUse = CommandCompletion::LogUse::none;
  uint64_t logWritten = 0;
  uint64_t logLost = 0;
  uint8_t logBatches = 0;
};

/// One target for each queue at most, in the order of the queues.
void readCommand(StateReader& archive, uint32_t version, Restored& restored) {
  archive.choice(restored.commandPending);
  if (!restored.commandPending) return;
  const auto queues = static_cast<uint32_t>(restored.queues.size());
  uint32_t next = 0;
  for (uint32_t left = exchangeCount(archive, 0, queues); left > 0 && archive.good(); --left) {
    uint32_t queue = 0;
    uint64_t sequence = 0;
    archive.value(queue);
    archive.value(sequence);
    bool selective = false;
    uint32_t pasid = 0;
    if (version >= kSelectiveState) {
      archive.choice(selective);
      archive.value(pasid);
      archive.require(pasid <= kMaxPasid);
    }
    const bool enabled = queue >= next && queue < queues && restored.queues[queue].run != nullptr;
    archive.require(enabled && sequence <= restored.queues[queue].run->submitted());
    if (archive.good()) {
      restored.targets.push_back({restored.queues[queue].run, sequence, selective ? Selection{pasid} : Selection{}});
    }
    next = queue + 1;
  }
}

/// What is on its way to the event log. The run has nothing yet.
void readEntries(StateReader& archive, Restored& restored) {
  archive.choice(restored.logUse, static_cast<uint8_t>(CommandCompletion::LogUse::close));
  archive.require(restored.commandPending || restored.logUse == CommandCompletion::LogUse::none);
  for (uint32_t left = exchangeCount(archive, 0, EventLog::kMostWaiting); left > 0; --left) {
    dsa::Descriptor entry;
    archive.bytes(entry.bytes);
    archive.require(restored.log.run->push(entry, EventLog::kMostWaiting));
  }
  for (const Restored::Queue& queue : restored.queues) {
    bool logged = false;
    archive.choice(logged);
    if (logged && queue.run != nullptr) queue.run->noteRecordLogged();
  }
  for (uint32_t left = exchangeCount(archive, 0, kMostBatches); left > 0 && archive.good(); --left) {
    uint32_t queue = 0;
    uint64_t sequence = 0;
    uint8_t number = 0;
    archive.value(queue);
    archive.value(sequence);
    archive.value(number);
    archive.require(queue < restored.queues.size() && restored.queues[queue].run != nullptr);
    if (archive.good()) archive.require(restored.queues[queue].run->noteLoggedBatch(sequence, number));
  }
}

}  // namespace

bool QueueDevice::keepsEventLog() const {
  return device_->log.isOpen() || (commandPending() && device_->command.logUse() == CommandCompletion::LogUse::close);
}

void QueueDevice::saveEventLog(StateWriter& archive) const {
  const EventLog& log = device_->log;
  archive.value(log.written());
  archive.value(log.lost());
  archive.value(log.batches());
  archive.choice(keepsEventLog());
  if (!keepsEventLog()) return;
  archive.choice(commandPending() ? device_->command.logUse() : CommandCompletion::LogUse::none);
  const std::vector<dsa::Descriptor> entries = logQueue_->run()->left();
  exchangeCount(archive, entries.size(), EventLog::kMostWaiting);
  for (const dsa::Descriptor& entry : entries) archive.bytes(entry.bytes);
  const auto saved = [](const WorkQueue& queue) { return queue.run() != nullptr && queue.run()->worthSaving(); };
  std::vector<std::pair<uint32_t, std::pair<uint64_t, uint8_t>>> batches;
  for (uint32_t index = 0; index < queues(); ++index) {
    const WorkQueue& queue = *queues_[index];
    archive.choice(saved(queue) && queue.run()->recordLogged());
    if (!saved(queue)) continue;
    for (const auto& batch : queue.run()->loggedBatches()) batches.emplace_back(index, batch);
  }
  exchangeCount(archive, batches.size(), kMostBatches);
  for (const auto& [index, batch] : batches) {
    archive.value(index);
    archive.value(batch.first);
    archive.value(batch.second);
  }
}

std::vector<std::byte> QueueDevice::state() const {
  if (!suspended() || !settled()) throw std::logic_error("the device is not suspended");
  StateWriter archive;
  const bool pending = commandPending();
  const auto isSelective = [](const auto& queue) {
    const std::shared_ptr<QueueRun>& run = queue->run();
    return run != nullptr && run->worthSaving() ? run->abortedSelectively() : !queue->remains().interrupts.empty();
  };
  const bool selective =
      std::any_of(queues_.begin(), queues_.end(), isSelective) ||
      (pending && std::any_of(device_->command.targets().begin(), device_->command.targets().end(),
                              [](const auto& target) { return target.selection.pasid.has_value(); }));
  const uint32_t version = selective ? kSelectiveState : kPlainState;
  writeHeader(archive, version, queues());
  for (const auto& queue : queues_) {
    const std::shared_ptr<QueueRun>& run = queue->run();
    const bool present = run != nullptr && run->worthSaving();
    const QueueRun::Remains left = present ? QueueRun::Remains{} : queue->remains();
    writeCounters(archive, queue->counters(), left);
    archive.choice(present);
    if (!present) {
      if (version < kSelectiveState) continue;
      exchangeCount(archive, left.interrupts.size(), QueueRun::kMostJobs);
      for (const uint16_t handle : left.interrupts) archive.value(handle);
      continue;
    }
    archive.bytes(describe(run->config));
    run->save(archive, version);
  }
  portal_->save(archive);

  archive.choice(pending);
  if (pending) {
    // By queue; the last descriptor decides.
    std::map<uint32_t, std::pair<uint64_t, Selection>> targets;
    for (const auto& [run, sequence, selection] : device_->command.targets()) {
      // What is left of a closed event log is given up: it is not saved.
      if (run->isLog()) continue;
      // Of an earlier run, or of one that has nothing left, there is nothing to wait for.
      if (run != queues_[run->index]->run() || !run->worthSaving()) continue;
      auto& [last, which] = targets[run->index];
      last = std::max(last, sequence);
      which = selection;
    }
    exchangeCount(archive, targets.size(), queues());
    for (const auto& [index, target] : targets) {
      const auto& [sequence, selection] = target;
      archive.value(index);
      archive.value(sequence);
      if (version < kSelectiveState) continue;
      archive.choice(selection.pasid.has_value());
      archive.value(selection.pasid.value_or(0));
    }
  }
  archive.value(device_->errors.recorded());
  archive.value(device_->errors.lost());
  if (device_->log.present()) saveEventLog(archive);
  return archive.take();
}

void QueueDevice::restore(std::span<const std::byte> state, std::span<const std::optional<RestoredQueue>> settings,
                          std::optional<CommandEffects> effects, const std::optional<RestoredEventLog>& log) {
  if (log) requireEventLog(log->config);
  if (closed_ || !suspended()) throw std::logic_error("the device is not suspended");
  if (effects) requireEffects(*effects);
  for (const std::optional<RestoredQueue>& queue : settings) {
    if (queue) requireConfig(queue->config);
  }
  const auto refuse = [](const std::string& why) { throw std::invalid_argument("state of the queues: " + why); };
  StateReader archive(state);
  uint32_t magic = 0;
  uint32_t version = 0;
  uint32_t count = 0;
  archive.value(magic);
  archive.value(version);
  archive.value(count);
  if (!archive.good() || magic != kMagic) refuse("no such state");
  if (version < kPlainState || version > kSelectiveState) {
    refuse("version " + std::to_string(version) + "; expected " + std::to_string(kPlainState) + " to " +
           std::to_string(kSelectiveState));
  }
  if (count != queues()) refuse(std::to_string(count) + " queues; the device has " + std::to_string(queues()));

  Restored restored;
  restored.queues.resize(count);
  for (uint32_t index = 0; index < count && archive.good(); ++index) {
    Restored::Queue& queue = restored.queues[index];
    for (std::atomic<uint64_t>* const counter : countersOf(*queue.counters)) {
      uint64_t value = 0;
      archive.value(value);
      counter->store(value);
    }
    bool present = false;
    archive.choice(present);
    if (!present) {
      if (version >= kSelectiveState) queue.interrupts = readInterrupts(archive, device_->handles);
      continue;
    }
    if (index >= settings.size() || !settings[index]) {
      refuse("work queue " + std::to_string(index) + " is enabled there, and not in the registers");
    }
    const RestoredQueue& own = *settings[index];
    const std::vector<std::byte> expected = describe(own.config);
    std::vector<std::byte> said(expected.size());
    archive.bytes(said);
    if (said != expected) {
      refuse("work queue " + std::to_string(index) + " is configured otherwise there than in the registers");
    }
    queue.run = queues_[index]->makeRun(own.config, own.group, queue.counters);
    queue.run->restore(archive, version);
  }
  restored.halves = PortalRegion::read(archive, count);
  readCommand(archive, version, restored);
  // They are due of queues that a command has reset, which has not ended.
  const auto due = [](const Restored::Queue& queue) { return !queue.interrupts.empty(); };
  archive.require(restored.commandPending || std::none_of(restored.queues.begin(), restored.queues.end(), due));
  archive.value(restored.errors);
  archive.value(restored.errorsLost);
  if (device_->log.present()) {
    bool open = false;
    // A device without an event log ends here, such as those of releases that had none.
    if (archive.left() > 0) {
      archive.value(restored.logWritten);
      archive.value(restored.logLost);
      archive.value(restored.logBatches);
      archive.choice(open);
    }
    if (archive.good() && open != log.has_value()) {
      refuse(open ? "the event log is open there, and not in the registers"
                  : "the event log is not open there, but in the registers");
    }
    if (log) {
      restored.log.run = logQueue_->makeRun(eventLogQueue(), log->group, restored.log.counters);
      readEntries(archive, restored);
    }
  }
  if (!archive.good() || archive.left() != 0) refuse("malformed");
  if (restored.commandPending != effects.has_value()) {
    refuse(restored.commandPending ? "a command waits there, and not in the registers"
                                   : "no command waits there, but in the registers");
  }

  // Nothing is dispatched before `resume`: until then it does no harm that groups have both runs of a queue.
  uint32_t attached = 0;
  try {
    for (; attached < count; ++attached) {
      const std::shared_ptr<QueueRun>& run = restored.queues[attached].run;
      if (run != nullptr) settings[attached]->group->attach(run);
    }
    if (log) log->group->attach(restored.log.run);
  } catch (...) {
    while (attached > 0) {
      --attached;
      const std::shared_ptr<QueueRun>& run = restored.queues[attached].run;
      if (run != nullptr) settings[attached]->group->detach(*run);
    }
    throw;
  }
  reset();
  for (uint32_t index = 0; index < count; ++index) {
    Restored::Queue& queue = restored.queues[index];
    queues_[index]->adopt(std::move(queue.counters));
    queues_[index]->adoptDue(std::move(queue.interrupts));
    if (queue.run == nullptr) continue;
    queue.run->showOccupancy();
    queues_[index]->adopt(std::move(queue.run), settings[index]->group);
  }
  portal_->adopt(restored.halves);
  if (effects) device_->command.adopt(std::move(restored.targets), std::move(*effects), restored.logUse);
  device_->errors.adopt(restored.errors, restored.errorsLost);
  device_->log.adopt(restored.logWritten, restored.logLost, restored.logBatches);
  if (!log) return;
  device_->log.open(log->config, restored.log.run, restored.log.counters);
  logQueue_->adopt(std::move(restored.log.counters));
  logQueue_->adopt(std::move(restored.log.run), log->group);
}

}  // namespace mdev
