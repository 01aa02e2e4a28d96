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
  while (!closing_.load()) {
    refreshGroup();
    if (work()) continue;
    if (std::exchange(starved_, false)) {
      parker_->parkFor(kStarvedMilliseconds);
      continue;
    }
    if (currentGroup_ != nullptr && !currentGroup_->idle(*this)) continue;
    parker_->park();
  }
  if (new_ != nullptr) append(*std::exchange(new_, nullptr));
  while (Job* const job = pop()) handBack(*job);
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
  } while (epochs.admitsSoon());
  return Turn::excluded;
}

void Engine::turn(Job& job) {
  switch (guarded(job)) {
    case Turn::yield:
    case Turn::parked:
    case Turn::excluded:
      append(job);
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
  if (run.groupAddress == currentGroup_.get() && jobs_ == 0 && !closing_.load()) {
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
  for (bool insist = false; !run->handBack(job, insist);) {
    // Aborted, and nothing keeps it from ending: here. A turn of a detached run touches no guest memory.
    const Turn result = run->detached() ? job.turn() : guarded(job);
    if (result == Turn::completed || result == Turn::abandoned) {
      finish(job, result == Turn::completed);
      return;
    }
    // Who waits for the end of this thread may be the one that keeps readers out.
    insist = result == Turn::excluded;
  }
  announce(*run);
}

void Engine::announce(const QueueRun& run) {
  if (run.groupAddress == currentGroup_.get()) {
    currentGroup_->submitted(run, 1);
  } else if (const std::shared_ptr<Group> group = run.group.lock(); group != nullptr) {
    group->submitted(run, 1);
  }
}

Job* Engine::nextReady() {
  for (std::size_t left = jobs_; left > 0; --left) {
    Job* const job = pop();
    if (job->ready() && job->epochs().admits()) return job;
    append(*job);
  }
  return nullptr;
}

void Engine::append(Job& job) {
  job.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &job;
  last_ = &job;
  ++jobs_;
}

Job* Engine::pop() {
  Job* const job = first_;
  if (job == nullptr) return nullptr;
  first_ = job->next;
  if (first_ == nullptr) last_ = nullptr;
  --jobs_;
  return job;
}

}  // namespace mdev
