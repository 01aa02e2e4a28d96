// Work queues and the engines that serve them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace mdev {

class Engine;
class Job;
class QueueRun;

/// Chooses whose descriptor is dispatched next: each queue has credits, as many as its priority; a dispatch costs one;
/// when no queue that could be served has any left, all get new ones. DSA specification 3.7.
///
/// A descriptor that waits is overtaken by those behind it (decision 16).
class Group : public std::enable_shared_from_this<Group> {
 public:
  /// As many as a device has at most (ENGCAP, DSA specification 9.2.6).
  static constexpr uint32_t kMostEngines = 64;
  /// Descriptors of a queue in progress: twice as many as a connection has requests on the wire.
  static constexpr uint32_t kInProgress = 32;
  static constexpr uint32_t kMostInProgress = 64;

  /// `inProgress`: so many descriptors of each queue, 1 to kMostInProgress, may be begun and not ended, those that wait
  /// for the client or for others among them. Each queue has them for itself, with 192 KiB of address space each: what
  /// waits for one client keeps nothing from another's queue. Throws std::invalid_argument.
  explicit Group(uint32_t inProgress = kInProgress);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  /// What runs of this group lock.
  const std::shared_ptr<std::mutex>& lock() const { return mutex_; }

  // --- Owner threads ---

  /// The engines that serve the group from now on. An engine belongs to one group: the newest assignment wins. What an
  /// engine has in work it ends. Throws std::invalid_argument when there are more than kMostEngines, or std::bad_alloc;
  /// then nothing has changed.
  void setEngines(std::vector<std::shared_ptr<Engine>> engines);
  /// The engine ends: it is no member any more.
  void leave(Engine& engine);
  /// No engines and no queues any more.
  void close();
  /// Throws std::bad_alloc; then the run is not attached.
  void attach(std::shared_ptr<QueueRun> run);
  void detach(const QueueRun& run);
  /// So many descriptors were queued, or can be dispatched after all: wakes as many idle engines, of those that can
  /// take them.
  void submitted(const QueueRun& run, uint32_t descriptors);

  // --- Engines ---

  /// The next descriptor for this engine, or null.
  Job* take(Engine& engine);
  /// The same, after QueueRun::finish of a job of one of the group's runs, under the lock once. `run` is the job's
  /// reference, which the next job of the same run takes over.
  Job* finishAndTake(Engine& engine, Job& job, bool completed, std::shared_ptr<QueueRun>& run);
  /// The engine is about to sleep. False when there is something for it after all.
  bool idle(Engine& engine);

 private:
  struct Member {
    std::shared_ptr<Engine> engine;
    /// Asleep, or about to be: `submitted` may choose it.
    bool idle = false;
  };
  Job* takeLocked(Engine& engine, std::shared_ptr<QueueRun>& recent);
  std::shared_ptr<Engine> takeIdle(const QueueRun& run);
  Member* find(const Engine& engine);
  void removeMember(const Engine& engine);
  void setBusy(Member& member);

  /// Also the lock of its runs, which may outlive the group: an engine passes it once for each descriptor.
  const std::shared_ptr<std::mutex> mutex_;
  const uint32_t inProgress_;
  std::vector<Member> members_;
  std::vector<std::shared_ptr<QueueRun>> runs_;
  /// The run that is looked at first.
  std::size_t next_ = 0;
  /// Members that are idle; looked at without the lock.
  std::atomic<uint32_t> idleMembers_{0};
};

}  // namespace mdev
