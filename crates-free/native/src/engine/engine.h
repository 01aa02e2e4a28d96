// One engine: a thread that executes descriptors.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "engine/job_list.h"
#include "engine/parker.h"
#include "memory/epoch.h"

namespace mdev {

class Group;
class QueueRun;

/// Serves the queues of its group: works on at most one descriptor of each at a time, all of them in turns of one
/// chunk, so that a long one does not keep others waiting. One that waits for the client, or for other descriptors, is
/// parked meanwhile, and the queue's next one is taken on: as many as the group has in progress. When it could go on,
/// it waits for the one that is worked on by then.
class Engine {
 public:
  /// Starts the thread. `name` is what the operating system shows, at most 15 bytes of it. Throws std::system_error
  /// when no thread can be made, or std::bad_alloc.
  explicit Engine(const std::string& name);
  /// Closes it.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Ends the thread, within one chunk. What it had in work goes on where it stopped, on the next engine of its group
  /// that has time, or the next that the group is given. May be called again. Not from an engine's thread.
  void close();

  /// Any thread. There may be something new to be taken.
  void wake() { parker_->wake(); }
  /// Any thread. What it has parked may be able to go on.
  void wakeToLook() { parker_->wakeToLook(); }
  const std::shared_ptr<Parker>& parker() const { return parker_; }
  /// Its own thread, inside Group::take: there is no memory for the job that it would get.
  void noteStarved() { starved_ = true; }
  std::shared_ptr<Group> group() const;
  /// Called by the group, which knows its members.
  void setGroup(std::shared_ptr<Group> group);

 private:
  void run();
  bool work();
  void turn(Job& job);
  Turn guarded(Job& job);
  void finish(Job& job, bool completed);
  void handBack(Job& job);
  bool servesGroupOf(const QueueRun& run) const;
  void announce(const QueueRun& run);
  void refreshGroup();
  Job* takeNew();
  void keep(Job& job);
  void unpark();
  void goOn(Job& job);
  bool worksOn(const QueueRun& run) const;
  void goOnWithOldest(JobList& jobs, const QueueRun& run);
  void promote(const QueueRun& run);
  Job* nextReady();

  const std::shared_ptr<Parker> parker_ = std::make_shared<Parker>();
  std::atomic<bool> closing_{false};

  mutable std::mutex mutex_;
  std::weak_ptr<Group> group_;
  std::atomic<uint64_t> groupVersion_{1};

  // Only the thread itself.
  EpochDomain::Reader reader_{[parker = parker_] { parker->wake(); }};
  std::shared_ptr<Group> currentGroup_;
  uint64_t currentVersion_ = 0;
  JobList working_;
  /// Looked at when the engine was woken to look.
  JobList parked_;
  /// Parked, and could go on, but another one of the same queue is in `working_` or `new_`.
  JobList held_;
  /// Taken when the one before it ended.
  Job* new_ = nullptr;
  bool starved_ = false;

  std::thread thread_;
};

}  // namespace mdev
