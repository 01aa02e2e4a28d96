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
  for (bool woken = false;;) {
    // Before anything is looked at: what comes later wakes the engine again.
    woken = parker_->takeWake() || woken;
    if (closing_.load()) break;
    refreshGroup();
    if (std::exchange(woken, false)) unpark();
    if (work()) continue;
    if (std::exchange(starved_, false)) {
      parker_->parkFor(kStarvedMilliseconds);
    } else if (currentGroup_ == nullptr || currentGroup_->idle(*this)) {
      parker_->park();
    }
    woken = true;
  }
  if (new_ != nullptr) working_.append(*std::exchange(new_, nullptr));
  while (Job* const job = working_.pop()) handBack(*job);
  while (Job* const job = parked_.pop()) handBack(*job);
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
  if (run.groupAddress == currentGroup_.get() && new_ == nullptr && working_.size() == 0 && !closing_.load()) {
    // Nothing else is to have a turn first.
    new_ = currentGroup_->finishAndTake(*this, job, completed, reference);
  } else {
    run.finish(job, completed);
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

void Engine::announce(const QueueRun& run) {
  if (run.groupAddress == currentGroup_.get()) {
    currentGroup_->submitted(run, 1);
  } else if (const std::shared_ptr<Group> group = run.group.lock(); group != nullptr) {
    group->submitted(run, 1);
  }
}

/// What waited, and does no more, gets its turns again.
void Engine::unpark() {
  for (std::size_t left = parked_.size(); left > 0; --left) {
    Job* const job = parked_.pop();
    if (job->ready()) job->unpark();
    keep(*job);
  }
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
