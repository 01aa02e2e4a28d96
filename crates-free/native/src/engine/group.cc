#include "engine/group.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/engine.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

/// Engines move between groups one at a time.
std::mutex& assignment() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Group::Group(uint32_t inProgress) : mutex_(std::make_shared<std::mutex>()), inProgress_(inProgress) {
  if (inProgress < 1 || inProgress > kMostInProgress) {
    throw std::invalid_argument("inProgress: " + std::to_string(inProgress) + "; expected 1 to " +
                                std::to_string(kMostInProgress));
  }
}

Group::~Group() = default;

void Group::setEngines(std::vector<std::shared_ptr<Engine>> engines) {
  if (engines.size() > kMostEngines) {
    throw std::invalid_argument("engines: " + std::to_string(engines.size()) + "; expected at most " +
                                std::to_string(kMostEngines));
  }
  const std::lock_guard assigning(assignment());
  std::vector<Member> members;
  for (const auto& engine : engines) members.push_back({engine, false});
  {
    const std::lock_guard lock(*mutex_);
    members_.swap(members);
    idleMembers_.store(0);
  }
  for (const auto& engine : engines) {
    const std::shared_ptr<Group> other = engine->group();
    if (other != nullptr && other.get() != this) other->removeMember(*engine);
  }
  for (const Member& member : members) {
    if (std::find(engines.begin(), engines.end(), member.engine) == engines.end()) member.engine->setGroup(nullptr);
  }
  for (const auto& engine : engines) engine->setGroup(shared_from_this());
}

void Group::leave(Engine& engine) {
  const std::lock_guard assigning(assignment());
  removeMember(engine);
  engine.setGroup(nullptr);
}

void Group::close() {
  setEngines({});
  std::vector<std::shared_ptr<QueueRun>> runs;
  const std::lock_guard lock(*mutex_);
  runs_.swap(runs);
}

void Group::attach(std::shared_ptr<QueueRun> run) {
  // Before the lock that all engines need: nobody else has the run yet.
  run->reserve(inProgress_);
  run->credits = run->config.priority;
  const std::lock_guard lock(*mutex_);
  runs_.push_back(std::move(run));
}

void Group::detach(const QueueRun& run) {
  std::shared_ptr<QueueRun> last;
  const std::lock_guard lock(*mutex_);
  const auto found = std::find_if(runs_.begin(), runs_.end(), [&](const auto& other) { return other.get() == &run; });
  if (found == runs_.end()) return;
  last = std::move(*found);
  runs_.erase(found);
}

void Group::submitted(const QueueRun& run, uint32_t descriptors) {
  // Sequentially consistent: an engine that is not counted yet will see the descriptors before it sleeps.
  while (descriptors > 0 && idleMembers_.load() > 0) {
    const std::shared_ptr<Engine> engine = takeIdle(run);
    if (engine == nullptr) return;
    engine->wake();
    --descriptors;
  }
}

/// An idle engine that can work on the run, idle no more; or null.
std::shared_ptr<Engine> Group::takeIdle(const QueueRun& run) {
  const std::lock_guard lock(*mutex_);
  for (Member& member : members_) {
    if (!member.idle || !run.availableTo(*member.engine)) continue;
    setBusy(member);
    return member.engine;
  }
  return nullptr;
}

Job* Group::take(Engine& engine) {
  std::shared_ptr<QueueRun> none;
  const std::lock_guard lock(*mutex_);
  return takeLocked(engine, none);
}

Job* Group::finishAndTake(Engine& engine, Job& job, bool completed, std::shared_ptr<QueueRun>& run) {
  const std::lock_guard lock(*mutex_);
  run->finishLocked(job, completed);
  return takeLocked(engine, run);
}

Job* Group::takeLocked(Engine& engine, std::shared_ptr<QueueRun>& recent) {
  Member* const member = find(engine);
  if (member == nullptr) return nullptr;
  setBusy(*member);
  const std::size_t count = runs_.size();
  for (int round = 0; round < 2; ++round) {
    bool outOfCredits = false;
    for (std::size_t step = 0; step < count; ++step) {
      const std::size_t place = (next_ + step) % count;
      const std::shared_ptr<QueueRun>& run = runs_[place];
      if (!run->hasWaiting()) continue;
      if (run->credits == 0) {
        outOfCredits = outOfCredits || run->availableTo(engine);
        continue;
      }
      Job* const job =
          run == recent ? run->take(std::move(recent), engine) : run->take(std::shared_ptr<QueueRun>(run), engine);
      if (job == nullptr) continue;
      --run->credits;
      next_ = (place + 1) % count;
      return job;
    }
    if (!outOfCredits) return nullptr;
    for (const auto& run : runs_) run->credits = run->config.priority;
  }
  return nullptr;
}

bool Group::idle(Engine& engine) {
  const std::lock_guard lock(*mutex_);
  Member* const member = find(engine);
  if (member == nullptr) return true;
  if (!member->idle) {
    member->idle = true;
    idleMembers_.fetch_add(1);
  }
  // Only now: what was queued without seeing the count is seen here.
  const bool available =
      std::any_of(runs_.begin(), runs_.end(), [&](const auto& run) { return run->availableTo(engine); });
  if (available) setBusy(*member);
  return !available;
}

Group::Member* Group::find(const Engine& engine) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const Member& member) { return member.engine.get() == &engine; });
  return found == members_.end() ? nullptr : &*found;
}

void Group::removeMember(const Engine& engine) {
  const std::lock_guard lock(*mutex_);
  Member* const member = find(engine);
  if (member == nullptr) return;
  setBusy(*member);
  members_.erase(members_.begin() + (member - members_.data()));
  // It may have been woken for work that it will not take any more.
  for (const Member& other : members_) other.engine->wake();
}

void Group::setBusy(Member& member) {
  if (!member.idle) return;
  member.idle = false;
  idleMembers_.fetch_sub(1);
}

}  // namespace mdev
