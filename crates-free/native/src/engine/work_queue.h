// One work queue of a device, enabled or not.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "dsa/descriptor.h"
#include "engine/device_context.h"
#include "engine/queue_config.h"
#include "engine/queue_run.h"

namespace mdev {

class Group;

/// Owner thread only.
class WorkQueue {
 public:
  WorkQueue(std::shared_ptr<DeviceContext> device, uint32_t index);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Throws std::logic_error when an earlier enable has not ended, or std::bad_alloc: then the queue is not enabled.
  void enable(const QueueConfig& config, const std::shared_ptr<Group>& group);
  /// Raises what is due, and tells engines of everything that waits, after a suspension.
  void resume();
  /// What a state of the device tells instead of the run, which is none or not worth saving.
  QueueRun::Remains remains() const;
  /// Goes on with the counts of another. What engines still have of earlier runs is counted elsewhere.
  void adopt(std::shared_ptr<QueueCounters> counters) { counters_ = std::move(counters); }
  /// Interrupts of a run in another device, for `resume`; it is reset.
  void adoptDue(std::vector<uint16_t> handles) { due_ = std::move(handles); }
  /// Becomes enabled with a run that is attached to the group; it is reset.
  void adopt(std::shared_ptr<QueueRun> run, std::shared_ptr<Group> group);
  /// A run that is not attached yet. Throws std::bad_alloc.
  std::shared_ptr<QueueRun> makeRun(const QueueConfig& config, const std::shared_ptr<Group>& group,
                                    std::shared_ptr<QueueCounters> counters) const;

  /// Abandons what is selected of everything submitted so far, without its waiting for answers to requests by message:
  /// a client need not give them. The queue goes on.
  void abort(const Selection& selection = {}, bool clientGone = false);
  /// Abandons the run, if there is one, as QueueRun::detach, and leaves its group.
  void abandon();
  /// The same, and forgets the run.
  void reset();

  /// Takes posted writes.
  bool accepts() const { return run_ != nullptr && run_->accepting() && run_->config.dedicated; }
  /// Takes deferrable writes.
  bool shared() const { return run_ != nullptr && run_->accepting() && !run_->config.dedicated; }
  /// Queues a descriptor that came through a portal; `announce` is due. A full queue is the guest's error.
  void submit(const dsa::Descriptor& descriptor);
  /// The same for a shared queue. False when a `limited` portal has reached the threshold, or the queue is full: the
  /// submitter is told to try again.
  bool enqueue(const dsa::Descriptor& descriptor, bool limited);
  /// From now on. DSA specification 9.2.24: it may change while the queue is enabled.
  void setThreshold(uint32_t threshold) { threshold_ = threshold; }
  /// Tells engines of what was submitted since the last time.
  void announce();
  /// A write came while the queue does not take any.
  void drop() { counters_->dropped.fetch_add(1, std::memory_order_relaxed); }
  /// A descriptor was answered with Retry.
  void countRetry() { counters_->retried.fetch_add(1, std::memory_order_relaxed); }

  /// The run of the last enable, or null.
  const std::shared_ptr<QueueRun>& run() const { return run_; }
  const QueueCounters& counters() const { return *counters_; }
  QueueCounters& counters() { return *counters_; }
  const std::shared_ptr<QueueCounters>& sharedCounters() const { return counters_; }

 private:
  const std::shared_ptr<DeviceContext> device_;
  const uint32_t index_;
  std::shared_ptr<QueueCounters> counters_ = std::make_shared<QueueCounters>();
  std::shared_ptr<QueueRun> run_;
  std::shared_ptr<Group> group_;
  uint32_t threshold_ = 0;
  /// See QueueRun::Remains. There is no run then.
  std::vector<uint16_t> due_;
  /// Descriptors of the run that no engine was told of.
  uint32_t unannounced_ = 0;
};

}  // namespace mdev
