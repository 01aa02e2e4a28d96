#include "engine/queue_device.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/group.h"
#include "engine/shared_registers.h"

namespace mdev {
namespace {

constexpr uint32_t kMaxQueues = 256;
constexpr uint32_t kMaxPriority = 15;
constexpr uint32_t kMaxSize = 0xffff;

constexpr uint64_t kEventLogAlignment = 4096;
constexpr uint32_t kLeastEventLog = 64;

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument(message);
}

std::shared_ptr<DeviceContext> makeContext(const QueueDeviceOptions& options) {
  require(options.registers != nullptr, "registerRegion: expected a region of registers");
  require(options.queues >= 1 && options.queues <= kMaxQueues,
          "queues is " + std::to_string(options.queues) + ": expected 1 to " + std::to_string(kMaxQueues));
  require(options.handles <= options.irqs->count(), "vectors is " + std::to_string(options.handles) +
                                                        ": expected at most the device's " +
                                                        std::to_string(options.irqs->count()) + " MSI-X vectors");
  requireSharedRegisters(options);
  return std::make_shared<DeviceContext>(options.registers, options.dma, options.dmaFaults, options.irqs,
                                         options.offsets, options.capabilities, options.handles);
}

std::vector<std::shared_ptr<WorkQueue>> makeQueues(const std::shared_ptr<DeviceContext>& device, uint32_t count) {
  std::vector<std::shared_ptr<WorkQueue>> queues;
  for (uint32_t index = 0; index < count; ++index) queues.push_back(std::make_shared<WorkQueue>(device, index));
  return queues;
}

}  // namespace

QueueDevice::QueueDevice(const QueueDeviceOptions& options)
    : device_(makeContext(options)),
      table_(options.table),
      queues_(makeQueues(device_, options.queues)),
      logQueue_(std::make_shared<WorkQueue>(device_, DeviceContext::kLogQueue)),
      everyQueue_(queues_),
      portal_(std::make_shared<PortalRegion>(queues_, logQueue_)) {
  everyQueue_.push_back(logQueue_);
}

QueueDevice::~QueueDevice() { close(); }

void QueueDevice::requireConfig(const QueueConfig& config) {
  require(config.size >= 1 && config.size <= kMaxSize,
          "size is " + std::to_string(config.size) + ": expected 1 to " + std::to_string(kMaxSize));
  require(config.priority >= 1 && config.priority <= kMaxPriority,
          "priority is " + std::to_string(config.priority) + ": expected 1 to " + std::to_string(kMaxPriority));
}

void QueueDevice::enable(uint32_t queue, const QueueConfig& config, const std::shared_ptr<Group>& group) {
  require(queue < queues_.size(),
          "work queue " + std::to_string(queue) + ": the device has " + std::to_string(queues_.size()));
  requireConfig(config);
  require(!closed_, "the device is closed");
  queues_[queue]->enable(config, group);
  portal_->clear(queue);
}

void QueueDevice::setThreshold(uint32_t queue, uint32_t threshold) {
  require(queue < queues_.size(),
          "work queue " + std::to_string(queue) + ": the device has " + std::to_string(queues_.size()));
  queues_[queue]->setThreshold(threshold);
}

void QueueDevice::requireEventLog(const EventLogConfig& config) const {
  require(device_->log.present(), "the event log's status register: the device has none");
  require(config.address % kEventLogAlignment == 0, "address is " + std::to_string(config.address) +
                                                        ": expected a multiple of " +
                                                        std::to_string(kEventLogAlignment));
  require(config.entries >= kLeastEventLog && config.entries <= kMaxSize,
          "entries is " + std::to_string(config.entries) + ": expected " + std::to_string(kLeastEventLog) + " to " +
              std::to_string(kMaxSize));
  require(config.entrySize == 64 || config.entrySize == 128 || config.entrySize == 256,
          "entrySize is " + std::to_string(config.entrySize) + ": expected 64, 128 or 256");
}

void QueueDevice::openEventLog(const EventLogConfig& config, const std::shared_ptr<Group>& group) {
  requireEventLog(config);
  require(!closed_, "the device is closed");
  if (device_->log.isOpen()) throw std::logic_error("the event log is open");
  // Of an earlier one nothing is left: it was written when the device was disabled, or dropped by a reset.
  device_->log.close();
  logQueue_->reset();
  logQueue_->enable(eventLogQueue(), group);
  device_->log.open(config, logQueue_->run(), logQueue_->sharedCounters());
}

void QueueDevice::requireEffects(const CommandEffects& effects) const {
  for (const RegisterEffect& effect : effects.registers) {
    require(effect.fits(*device_->registers), "effect at offset " + std::to_string(effect.offset) +
                                                  ": expected an aligned word inside the region's " +
                                                  std::to_string(device_->registers->size()) + " bytes");
    require(table_ == nullptr || isChangedByEngines(*table_, effect.offset),
            "effect at offset " + std::to_string(effect.offset) +
                ": expected a register that is declared shared, or a word of locks");
  }
  for (const uint32_t vector : effects.vectors) {
    require(vector < device_->irqs->count(),
            "vector " + std::to_string(vector) + ": the device has " + std::to_string(device_->irqs->count()));
  }
}

bool QueueDevice::command(Command command) {
  for (const uint32_t queue : command.queues) {
    require(queue < queues_.size(),
            "work queue " + std::to_string(queue) + ": the device has " + std::to_string(queues_.size()));
  }
  requireEffects(command.effects);
  if (commandPending()) throw std::logic_error("another command is pending");

  std::vector<CommandCompletion::Target> targets;
  targets.reserve(command.queues.size());
  for (const uint32_t index : command.queues) {
    const std::shared_ptr<QueueRun>& run = queues_[index]->run();
    if (run == nullptr) continue;
    if (command.stopAccepting) {
      run->stopAccepting();
      if (command.abort) {
        portal_->clear(index);
      } else {
        portal_->dropPartial(index);
      }
    }
    std::optional<Selection> selection = Selection{};
    if (command.pasid) selection = run->selectionOf(*command.pasid);
    if (!selection) continue;
    if (command.abort) queues_[index]->abort(*selection);
    const uint64_t end = run->endOf(*selection);
    run->awaitEnding(end, *selection);
    targets.push_back({run, end, *selection});
  }
  using LogUse = CommandCompletion::LogUse;
  LogUse use = command.closeEventLog ? LogUse::close : command.drainEventLog ? LogUse::drain : LogUse::none;
  // What an earlier one has left says nothing.
  if (!device_->log.isOpen()) use = LogUse::none;
  if (const std::shared_ptr<QueueRun>& run = logQueue_->run(); run != nullptr && use != LogUse::none) {
    if (command.abort) {
      use = LogUse::none;
      if (command.closeEventLog) {
        device_->log.close();
        logQueue_->abort({});
        targets.push_back({run, run->submitted(), {}});
      }
    }
    run->awaitEnding(run->submitted(), {});
  }
  return device_->command.start(std::move(targets), std::move(command.effects), use);
}

void QueueDevice::reset() {
  device_->command.cancel();
  device_->log.close();
  for (const auto& queue : everyQueue_) queue->abandon();
  portal_->clearAll();
  // Turns that began before may still write: neither bus master nor a map ends them.
  device_->dma->awaitReaders();
  const std::shared_ptr<MessageDma> channel = device_->dma->messageDma();
  if (channel != nullptr) channel->cancelAbandoned();
  for (const auto& queue : everyQueue_) queue->reset();
}

void QueueDevice::suspend() {
  if (suspended()) return;
  device_->suspended.store(true);
  device_->command.suspend();
  // Turns that began before may still be at their chunk.
  device_->dma->awaitReaders();
  for (const auto& queue : everyQueue_) {
    if (queue->run() != nullptr) queue->run()->awaitRest();
  }
}

bool QueueDevice::settled() const {
  return std::none_of(everyQueue_.begin(), everyQueue_.end(),
                      [](const auto& queue) { return queue->run() != nullptr && queue->run()->outstanding(); });
}

void QueueDevice::cancelMessages() {
  if (!suspended()) return;
  const std::shared_ptr<MessageDma> channel = device_->dma->messageDma();
  if (channel == nullptr) return;
  bool released = false;
  for (const auto& queue : everyQueue_) {
    if (queue->run() != nullptr && queue->run()->releaseMessages()) released = true;
  }
  if (!released) return;
  channel->cancelAbandoned();
  for (const auto& queue : everyQueue_) {
    if (queue->run() != nullptr) queue->run()->messagesCancelled();
  }
}

void QueueDevice::resume() {
  if (!device_->suspended.exchange(false)) return;
  for (const auto& queue : everyQueue_) queue->resume();
  device_->command.resume();
}

void QueueDevice::close() {
  if (closed_) return;
  closed_ = true;
  reset();
  portal_->close();
}

}  // namespace mdev
