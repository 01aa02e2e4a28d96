#include "engine/engine.h"

#include <sys/prctl.h>

#include <utility>

#include "engine/group.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {

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
    if (currentGroup_ != nullptr && !currentGroup_->idle(*this)) continue;
    parker_->park();
  }
  while (Job* const job = pop()) {
    job->forsakeMessages();
    finish(*job, false);
  }
  currentGroup_.reset();
}

/// A turn for a new descriptor, and a turn for one of those that are in work. False when there was neither.
bool Engine::work() {
  bool worked = false;
  if (currentGroup_ != nullptr) {
    if (Job* const job = currentGroup_->take(*this); job != nullptr) {
      turn(*job);
      worked = true;
    }
  }
  if (Job* const job = nextReady(); job != nullptr) {
    turn(*job);
    worked = true;
  }
  return worked;
}

void Engine::turn(Job& job) {
  Turn result;
  {
    const EpochGuard guard(reader_);
    result = job.turn();
  }
  switch (result) {
    case Turn::yield:
    case Turn::parked:
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
  const std::shared_ptr<QueueRun> run = job.release();
  run->finish(job, completed);
  run->device->command.check();
  if (!run->hasWaiting()) return;
  // Somebody may have been waiting for this engine to let go of the queue. Told even in this engine's own group: it may
  // have left that without knowing yet, and does not take the next descriptor then.
  if (run->groupAddress == currentGroup_.get()) {
    currentGroup_->submitted(*run, 1);
  } else if (const std::shared_ptr<Group> group = run->group.lock(); group != nullptr) {
    group->submitted(*run, 1);
  }
}

Job* Engine::nextReady() {
  for (std::size_t left = jobs_; left > 0; --left) {
    Job* const job = pop();
    if (job->ready()) return job;
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
