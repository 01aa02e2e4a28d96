#include "engine/work_queue.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "dsa/status.h"
#include "engine/group.h"

namespace mdev {

WorkQueue::WorkQueue(std::shared_ptr<DeviceContext> device, uint32_t index)
    : device_(std::move(device)), index_(index) {}

WorkQueue::~WorkQueue() { reset(); }

void WorkQueue::enable(const QueueConfig& config, const std::shared_ptr<Group>& group) {
  if ((run_ != nullptr && !run_->ended()) || !due_.empty()) {
    throw std::logic_error("work queue " + std::to_string(index_) + " is enabled, or still has descriptors in flight");
  }
  auto run = makeRun(config, group, counters_);
  reset();
  group->attach(run);
  adopt(std::move(run), group);
}

std::shared_ptr<QueueRun> WorkQueue::makeRun(const QueueConfig& config, const std::shared_ptr<Group>& group,
                                             std::shared_ptr<QueueCounters> counters) const {
  return std::make_shared<QueueRun>(device_, std::move(counters), index_, config, group);
}

void WorkQueue::adopt(std::shared_ptr<QueueRun> run, std::shared_ptr<Group> group) {
  run_ = std::move(run);
  group_ = std::move(group);
  threshold_ = run_->config.threshold;
}

QueueRun::Remains WorkQueue::remains() const {
  if (run_ != nullptr) return run_->remains();
  QueueRun::Remains remains;
  remains.interrupts = due_;
  return remains;
}

void WorkQueue::resume() {
  for (const uint16_t handle : std::exchange(due_, {})) device_->raiseCompletion(handle);
  if (run_ == nullptr) return;
  unannounced_ = 0;
  run_->endAbandoned();
  group_->submitted(*run_, run_->resume());
}

void WorkQueue::abort(const Selection& selection, bool clientGone) {
  if (clientGone) due_.clear();
  if (run_ == nullptr) return;
  if (run_->abort(selection, clientGone)) {
    // A driver may wait for the end without doing anything else.
    if (const auto channel = device_->dma->messageDma(); channel != nullptr) channel->cancelAbandoned();
  }
  run_->endAbandoned();
  // A command may have waited for what no engine had.
  device_->command.check();
}

void WorkQueue::abandon() {
  if (run_ == nullptr) return;
  run_->detach();
  group_->detach(*run_);
}

void WorkQueue::reset() {
  abandon();
  run_.reset();
  due_.clear();
  group_.reset();
  unannounced_ = 0;
}

bool WorkQueue::enqueue(const dsa::Descriptor& descriptor, bool limited) {
  const uint32_t size = run_->config.size;
  if (!run_->push(descriptor, limited ? std::min(threshold_, size) : size)) {
    countRetry();
    return false;
  }
  ++unannounced_;
  return true;
}

void WorkQueue::submit(const dsa::Descriptor& descriptor) {
  if (!run_->push(descriptor, run_->config.size)) {
    counters_->full.fetch_add(1, std::memory_order_relaxed);
    SoftwareError error;
    error.code = dsa::kErrorQueueFull;
    error.queue = static_cast<uint8_t>(index_);
    device_->report(error);
    return;
  }
  ++unannounced_;
}

void WorkQueue::announce() {
  if (unannounced_ == 0) return;
  run_->announce();
  group_->submitted(*run_, std::exchange(unannounced_, 0));
}

}  // namespace mdev
