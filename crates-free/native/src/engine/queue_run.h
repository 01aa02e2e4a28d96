// A work queue from the moment it is enabled until it is disabled or reset.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "dsa/descriptor.h"
#include "engine/job_table.h"
#include "engine/parker.h"
#include "engine/queue_config.h"
#include "engine/selection.h"

namespace mdev {

class Engine;
class Group;
class Job;
class StateReader;
class StateWriter;

/// The descriptors of one enable, waiting and in flight. A later enable has a run of its own, so that what is left of
/// this one cannot disturb it.
///
/// Descriptors have sequence numbers from 0 on, in the order in which they were submitted and are dispatched.
///
/// The lock is that of the group: of dispatch and end of descriptors, which jobs are in flight, and which of them wait.
class QueueRun {
 public:
  /// Descriptors in flight of which a state may tell; releases that had a job for each engine read no more.
  static constexpr uint32_t kMostJobs = 64;

  QueueRun(std::shared_ptr<DeviceContext> device, std::shared_ptr<QueueCounters> counters, uint32_t index,
           const QueueConfig& config, const std::shared_ptr<Group>& group);
  ~QueueRun();
  QueueRun(const QueueRun&) = delete;
  QueueRun& operator=(const QueueRun&) = delete;

  const uint32_t index;
  const QueueConfig config;
  const std::shared_ptr<DeviceContext> device;
  const std::weak_ptr<Group> group;

  // --- Owner thread ---

  /// Queues a descriptor; `announce` is due. False when as many as `limit` wait, at most the queue's size. Never
  /// allocates.
  bool push(const dsa::Descriptor& descriptor, uint32_t limit);
  /// Before engines are told of what was queued: one that says afterwards that it is idle sees it.
  void announce() { tail_.fetch_add(0); }
  bool accepting() const { return accepting_; }
  void stopAccepting() { accepting_ = false; }
  /// Descriptors so far.
  uint64_t submitted() const { return tail_.load(std::memory_order_relaxed); }
  /// Those of its descriptors that act for a PASID: all of a dedicated queue's, or none, and of a shared one's those
  /// that say so. Null when there can be none.
  std::optional<Selection> selectionOf(uint32_t pasid) const;
  /// How many descriptors must have been dispatched before all that are selected now have been.
  uint64_t endOf(const Selection& selection) const;
  /// Abandons what is selected of everything submitted so far: what waits at once, what is in flight at its chunk, and
  /// what no engine has in `endAbandoned`. The others keep their order. When the client has gone, nothing is left of it
  /// that a guest is still to be told. True when there are some in flight, whose requests by message are to be
  /// cancelled.
  bool abort(const Selection& selection, bool clientGone);
  /// Ends what was aborted while no engine had it. The device is not suspended, and requests by message are cancelled.
  void endAbandoned();
  /// Abandons everything for good. A turn of an engine that begins afterwards touches neither guest memory nor the
  /// device; who needs the end of those that have begun waits for them (DmaSpace::awaitReaders). May be called again.
  void detach();
  /// When all that is left of what is selected of the descriptors before `sequence` are some whose end the guest may
  /// have seen: waits until they are in flight no more. Else returns at once.
  void awaitEnding(uint64_t sequence, const Selection& selection);
  /// Stopped, and nothing is left of it.
  bool ended() const;
  /// The device is suspended, and turns that had begun are over: waits until no engine is about to end a descriptor.
  /// From then on no engine changes anything of this run.
  void awaitRest();
  /// The device goes on: wakes the engines of what is in flight. How many descriptors engines are to be told of.
  uint32_t resume();
  /// While the device is suspended: some request by message has not been answered.
  bool outstanding() const;
  /// While the device is suspended: gives those requests up, for the channel to cancel them. False when there are none.
  bool releaseMessages();
  /// That has been done. The descriptors make them again when the device goes on.
  void messagesCancelled();
  /// It takes descriptors, or has some that were not aborted. While the device is suspended.
  bool worthSaving() const;
  /// What is left of one that is not worth saving: how its descriptors will have ended, and the interrupts that the
  /// guest is to get for what it may have seen to end. A device that goes on in this one's place needs no queue for
  /// that: a reset may have taken its configuration away.
  struct Remains {
    uint64_t completed = 0;
    uint64_t abandoned = 0;
    /// Handles, at most kMostJobs, in the order in which they are due.
    std::vector<uint16_t> interrupts;
  };
  Remains remains() const;
  /// Some were given up, and others that were dispatched before one of those were not: only a state of version
  /// kSelectiveState can say so.
  bool abortedSelectively() const;
  /// What waits and what is in flight, in an order of its own, as `version` of the state has it. While the device is
  /// suspended and nothing is outstanding. Throws std::bad_alloc.
  void save(StateWriter& archive, uint32_t version) const;
  /// What is left of the event log's, the oldest first.
  std::vector<dsa::Descriptor> left() const;
  /// Batches that the event log has entries of, and its number of each, by sequence number.
  std::vector<std::pair<uint64_t, uint8_t>> loggedBatches() const;
  /// Says so of a restored descriptor. False when there is no such one.
  bool noteLoggedBatch(uint64_t sequence, uint8_t number);
  /// Goes on for a run of the same configuration in another device, before it is attached to its group. The reader says
  /// whether the state was good. Throws std::bad_alloc.
  void restore(StateReader& archive, uint32_t version);
  /// Writes into the register how many descriptors wait: what it says already, if the registers came from the same
  /// device.
  void showOccupancy();

  /// So many descriptors may be in progress at once. Before it is attached to its group. Throws std::bad_alloc.
  void reserve(uint32_t inProgress) { jobs_.reserve(std::min(inProgress, config.mostInProgress)); }

  // --- Any thread ---

  /// Waiting for dispatch.
  uint64_t waiting() const;
  /// Begun, and not ended: most of them have an engine.
  uint32_t inFlight() const;
  /// Every descriptor before `sequence` has ended, if it is selected.
  bool endedBefore(uint64_t sequence, const Selection& selection = {}) const;
  /// Of a client that has gone: the interrupt that would follow a record is not to reach the next one.
  bool forgotten(uint64_t sequence) const { return sequence < forgottenBefore_.load(); }
  /// Whether that is the lock of the run's group: of a group that is gone, too, when another one lies in its place.
  bool isUnder(const std::mutex& lock) const { return mutex_.get() == &lock; }
  /// All that it has is aborted, and more will not come.
  bool detached() const { return detached_.load(); }
  /// Something waits for dispatch.
  bool hasWaiting() const { return head_.load() != tail_.load() || withoutEngine_.load() != 0; }
  /// Its descriptors are errors on their way to the event log.
  bool isLog() const { return index == DeviceContext::kLogQueue; }
  /// The event log has a record that one of its descriptors could not write. Then it has those of later drains, too.
  void noteRecordLogged() { recordLogged_.store(true); }
  bool recordLogged() const { return recordLogged_.load(); }

  // --- Engines ---

  /// What a descriptor of this submitter may ask for.
  const dsa::QueueLimits& limitsOf(const std::optional<Pasid>& submitter) const {
    return config.dedicated || !submitter || !submitter->privileged ? config.limits : privilegedLimits_;
  }
  /// The job's engine ends: another one may go on where it stopped. A descriptor that was abandoned and has nothing to
  /// wait for ends now.
  void handBack(Job& job);
  /// The job's descriptor has ended, and is in flight no more.
  void finish(Job& job, bool completed);
  /// True when everything before `job` has ended that a drain waits for: in a shared queue what acts for the same PASID
  /// (DSA specification 8.3.3). Else its engine is woken when that may have come true.
  bool waitForEarlier(Job& job);
  bool earlierEnded(const Job& job) const;

  // --- Under the group's lock ---

  /// Whether `take` would give this engine something: an engine works on one descriptor of a queue at a time, besides
  /// those that are parked.
  bool availableTo(const Engine& engine) const;
  /// Dispatches the next descriptor to the engine, or null. The job then has the reference `self`.
  Job* take(std::shared_ptr<QueueRun>&& self, Engine& engine);
  /// As `finish`.
  void finishLocked(Job& job, bool completed) { endLocked(job, completed); }
  /// Dispatches left before the other queues' turn.
  uint32_t credits = 0;

 private:
  /// Above every sequence number.
  static constexpr uint64_t kEverything = ~uint64_t{0};

  bool selected(const dsa::Descriptor& descriptor, const Selection& selection) const;
  bool endedBeforeLocked(uint64_t sequence, const Selection& selection) const;
  bool endingBeforeLocked(uint64_t sequence, const Selection& selection) const;
  bool earlierEndedLocked(const Job& job) const;
  void setWaitsForEarlier(Job& job, bool waits);
  Job* jobFor(const Engine& engine) const;
  void endLocked(Job& job, bool completed);
  void dropWaiting(const Selection& selection);
  void wakeEngines() const;

  const std::shared_ptr<QueueCounters> counters_;
  const QueueOccupancy occupancy_;
  /// Only descriptors of a user process may be kept from interrupting.
  const dsa::QueueLimits privilegedLimits_;
  bool accepting_ = true;

  std::vector<dsa::Descriptor> ring_;
  std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> tail_{0};
  std::atomic<uint64_t> forgottenBefore_{0};
  std::atomic<bool> detached_{false};
  std::atomic<bool> recordLogged_{false};

  const std::shared_ptr<std::mutex> mutex_;
  JobTable jobs_;
  /// How many jobs have a descriptor that no engine has, because its engine has ended or the run was restored. Looked
  /// at without the lock.
  std::atomic<uint32_t> withoutEngine_{0};
  /// Jobs that wait for earlier ones.
  uint32_t waitForEarlier_ = 0;
  /// Between `releaseMessages` and `messagesCancelled`.
  bool messagesReleased_ = false;
  /// The owner thread sleeps in `awaitEnding`.
  bool ownerWaits_ = false;
  Parker owner_;
};

}  // namespace mdev
