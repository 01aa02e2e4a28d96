#include "engine/engine.h"

#include <sys/prctl.h>

#include <utility>

#include "engine/group.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

/// When an engine looks again for memory that it did not get.
constexpr uint32_t kStarvedMilliseconds = 10;

}  // namespace

Engine::Engine(const std::string& name)
    : thread_([this, name] {
        // Linux cuts the name to 15 characters.
        ::prctl(PR_SET_NAME, name.c_str());
        run();
      }) {}

Engine::~Engine() { close(); }

void Engine::close() {
  if (const std::shared_ptr<Group> own = group(); own != nullptr) own->leave(*this);
  closing_.store(true);
  wake();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<Group> Engine::group() const {
  const std::lock_guard lock(mutex_);
  return group_.lock();
}

void Engine::setGroup(std::shared_ptr<Group> group) {
  {
    const std::lock_guard lock(mutex_);
    group_ = group;
    groupVersion_.fetch_add(1);
  }
  wake();
}

void Engine::refreshGroup() {
  if (groupVersion_.load() == currentVersion_) return;
  std::shared_ptr<Group> group;
  {
    const std::lock_guard lock(mutex_);
    group = group_.lock();
    currentVersion_ = groupVersion_.load();
  }
  // Outside of the lock: this may end the old group.
  currentGroup_ = std::move(group);
}

void Engine::run() {
  for (;;) {
    // Before anything is looked at: what comes later wakes the engine again.
    parker_->takeWake();
    if (closing_.load()) break;
    refreshGroup();
    if (parker_->takeLook()) unpark();
    if (work()) continue;
    if (std::exchange(starved_, false)) {
      parker_->parkFor(kStarvedMilliseconds);
    } else if (currentGroup_ == nullptr || currentGroup_->idle(*this)) {
      parker_->park();
    }
  }
  if (new_ != nullptr) working_.append(*std::exchange(new_, nullptr));
  while (Job* const job = working_.pop()) handBack(*job);
  while (Job* const job = parked_.pop()) handBack(*job);
  while (Job* const job = held_.pop()) handBack(*job);
  currentGroup_.reset();
}

/// A turn for a new descriptor, and a turn for one of those that are in work. False when there was neither.
bool Engine::work() {
  bool worked = false;
  if (Job* const job = takeNew(); job != nullptr) {
    turn(*job);
    worked = true;
  }
  if (Job* const job = nextReady(); job != nullptr) {
    turn(*job);
    worked = true;
  }
  return worked;
}

Turn Engine::guarded(Job& job) {
  const EpochDomain& epochs = job.epochs();
  do {
    const EpochGuard guard(reader_, epochs);
    if (!epochs.turnsAway()) [[likely]]
      return job.turn();
  } while (epochs.admitsSoon(reader_));
  return Turn::excluded;
}

void Engine::turn(Job& job) {
  switch (guarded(job)) {
    case Turn::yield:
    case Turn::parked:
    case Turn::excluded:
      keep(job);
      break;
    case Turn::completed:
      finish(job, true);
      break;
    case Turn::abandoned:
      finish(job, false);
      break;
  }
}

void Engine::finish(Job& job, bool completed) {
  std::shared_ptr<QueueRun> reference = job.release();
  // What is taken next keeps it alive when it takes the reference over.
  QueueRun& run = *reference;
  if (servesGroupOf(run) && new_ == nullptr && working_.size() == 0 && held_.size() == 0 && !closing_.load()) {
    // Nothing else is to have a turn first.
    new_ = currentGroup_->finishAndTake(*this, job, completed, reference);
  } else {
    run.finish(job, completed);
    promote(run);
  }
  run.device->command.check();
  // Somebody may have been waiting for this engine to let go of the queue. Told even in this engine's own group: it may
  // have left that without knowing yet, and does not take the next descriptor then.
  if (run.hasWaiting()) announce(run);
}

Job* Engine::takeNew() {
  if (new_ != nullptr) return std::exchange(new_, nullptr);
  return currentGroup_ == nullptr ? nullptr : currentGroup_->take(*this);
}

/// The engine ends: somebody else goes on with the job.
void Engine::handBack(Job& job) {
  const std::shared_ptr<QueueRun> run = job.run();
  run->handBack(job);
  run->device->command.check();
  announce(*run);
}

bool Engine::servesGroupOf(const QueueRun& run) const {
  return currentGroup_ != nullptr && run.isUnder(*currentGroup_->lock());
}

void Engine::announce(const QueueRun& run) {
  if (servesGroupOf(run)) {
    currentGroup_->submitted(run, 1);
  } else if (const std::shared_ptr<Group> group = run.group.lock(); group != nullptr) {
    group->submitted(run, 1);
  }
}

void Engine::keep(Job& job) {
  if (!job.parked()) {
    working_.append(job);
    return;
  }
  parked_.append(job);
  promote(*job.run());
}

/// What waited, and does no more, gets its turns again, one of a queue at a time. What is aborted ends with its next
/// turn, whatever else is worked on.
void Engine::unpark() {
  for (std::size_t left = held_.size(); left > 0; --left) {
    Job* const job = held_.pop();
    if (job->aborted()) {
      goOn(*job);
    } else {
      held_.append(*job);
    }
  }
  JobList fresh;
  for (std::size_t left = parked_.size(); left > 0; --left) {
    Job* const job = parked_.pop();
    if (!job->ready()) {
      parked_.append(*job);
    } else if (job->aborted()) {
      goOn(*job);
    } else {
      fresh.append(*job);
    }
  }
  while (Job* const job = fresh.first()) {
    const QueueRun& run = *job->run();
    if (worksOn(run)) {
      held_.append(*fresh.pop());
    } else {
      // Nothing of its queue is held: something would be in work.
      goOnWithOldest(fresh, run);
    }
  }
}

void Engine::goOn(Job& job) {
  job.unpark();
  working_.append(job);
}

void Engine::goOnWithOldest(JobList& jobs, const QueueRun& run) {
  Job* const oldest = jobs.oldestOf(run);
  if (oldest == nullptr) return;
  jobs.remove(*oldest);
  goOn(*oldest);
  // Who queued a descriptor while this engine still looked as if it could take it may have woken nobody else.
  if (run.hasWaiting()) announce(run);
}

bool Engine::worksOn(const QueueRun& run) const {
  return (new_ != nullptr && new_->run().get() == &run) || working_.oldestOf(run) != nullptr;
}

/// What is held of the queue gets its turn, unless something of it is in work.
void Engine::promote(const QueueRun& run) {
  if (held_.size() != 0 && !worksOn(run)) goOnWithOldest(held_, run);
}

Job* Engine::nextReady() {
  for (std::size_t left = working_.size(); left > 0; --left) {
    Job* const job = working_.pop();
    if (job->ready() && job->epochs().admits(reader_)) return job;
    working_.append(*job);
  }
  return nullptr;
}

}  // namespace mdev
