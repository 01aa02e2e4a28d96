#include "engine/queue_run.h"

#include <algorithm>
#include <utility>

#include "engine/engine.h"
#include "engine/job.h"

namespace mdev {
namespace {

/// Bits 15:0 of a work queue's status word count what waits. The rest belongs to others.
constexpr uint32_t kOccupancy = 0xffff;

// Neither goes beyond its end, because the guest's reset may clear the word at any moment.
void addOccupancy(const std::atomic_ref<uint32_t>& word) {
  uint32_t seen = word.load(std::memory_order_relaxed);
  while ((seen & kOccupancy) != kOccupancy && !word.compare_exchange_weak(seen, seen + 1)) {
  }
}
void takeOccupancy(const std::atomic_ref<uint32_t>& word, uint64_t count) {
  uint32_t seen = word.load(std::memory_order_relaxed);
  while (
      !word.compare_exchange_weak(seen, seen - static_cast<uint32_t>(std::min<uint64_t>(seen & kOccupancy, count)))) {
  }
}

}  // namespace

QueueRun::QueueRun(std::shared_ptr<DeviceContext> context, std::shared_ptr<QueueCounters> counters, uint32_t queue,
                   const QueueConfig& settings, const std::shared_ptr<Group>& servedBy)
    : index(queue),
      config(settings),
      device(std::move(context)),
      group(servedBy),
      groupAddress(servedBy.get()),
      counters_(std::move(counters)),
      status_(device->registers->word32(device->offsets.workQueueStatus.at(queue))),
      ring_(settings.size) {}

QueueRun::~QueueRun() = default;

bool QueueRun::push(const dsa::Descriptor& descriptor) {
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) >= ring_.size()) return false;
  ring_[tail % ring_.size()] = descriptor;
  counters_->submitted.fetch_add(1, std::memory_order_relaxed);
  addOccupancy(status_);
  // Sequentially consistent, as an engine's look at it after it said that it is idle: one of the two sees the other.
  tail_.store(tail + 1);
  return true;
}

void QueueRun::showOccupancy() {
  takeOccupancy(status_, kOccupancy);
  status_.fetch_or(static_cast<uint32_t>(waiting()) & kOccupancy);
}

void QueueRun::abort() {
  const std::lock_guard lock(mutex_);
  messages_.abandonedBefore.store(tail_.load());
  dropWaiting();
  for (const auto& job : jobs_) {
    if (job->engine() != nullptr) job->engine()->wake();
  }
}

void QueueRun::detach() {
  accepting_ = false;
  messages_.abandonedBefore.store(kEverything);
  const std::lock_guard lock(mutex_);
  dropWaiting();
  counters_->abandoned.fetch_add(restored_.size(), std::memory_order_relaxed);
  restored_.clear();
  resumable_.store(0);
  // From now on nothing is dispatched; whatever the guest did to the count, the next enable begins at 0.
  takeOccupancy(status_, kOccupancy);
  for (const auto& job : jobs_) {
    if (job->engine() != nullptr) job->engine()->wake();
  }
}

void QueueRun::dropWaiting() {
  const uint64_t tail = tail_.load();
  const uint64_t dropped = tail - head_.load();
  takeOccupancy(status_, dropped);
  counters_->abandoned.fetch_add(dropped, std::memory_order_relaxed);
  head_.store(tail);
}

bool QueueRun::ended() const { return !accepting_ && endedBefore(submitted()); }

void QueueRun::reserve(std::size_t engines) {
  const std::lock_guard lock(mutex_);
  while (jobs_.size() < engines) jobs_.push_back(std::make_unique<Job>());
}

uint64_t QueueRun::waiting() const {
  const std::lock_guard lock(mutex_);
  return tail_.load() - head_.load();
}

uint32_t QueueRun::inFlight() const {
  const std::lock_guard lock(mutex_);
  const auto busy = std::count_if(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->engine() != nullptr; });
  return static_cast<uint32_t>(static_cast<std::size_t>(busy) + restored_.size());
}

bool QueueRun::endedBefore(uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  return endedBeforeLocked(sequence);
}

bool QueueRun::endedBeforeLocked(uint64_t sequence) const {
  if (head_.load() < sequence) return false;
  if (!restored_.empty() && restored_.back()->sequence() < sequence) return false;
  return std::none_of(jobs_.begin(), jobs_.end(),
                      [sequence](const auto& job) { return job->engine() != nullptr && job->sequence() < sequence; });
}

bool QueueRun::endingBeforeLocked(uint64_t sequence) const {
  const bool restored = !restored_.empty() && restored_.back()->sequence() < sequence;
  return head_.load() >= sequence && !restored && !endedBeforeLocked(sequence) &&
         std::all_of(jobs_.begin(), jobs_.end(), [sequence](const auto& job) {
           return job->engine() == nullptr || job->sequence() >= sequence || job->ending();
         });
}

void QueueRun::awaitEnding(uint64_t sequence) {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      ownerWaits_ = endingBeforeLocked(sequence);
      if (!ownerWaits_) return;
    }
    owner_.park();
  }
}

/// The place of a job that the engine may use, or the number of places.
std::size_t QueueRun::freeJob(const Engine& engine) const {
  std::size_t free = jobs_.size();
  for (std::size_t place = 0; place < jobs_.size(); ++place) {
    if (jobs_[place]->engine() == &engine) return jobs_.size();
    if (jobs_[place]->engine() == nullptr) free = place;
  }
  return free;
}

bool QueueRun::availableTo(const Engine& engine) const {
  // Without the lock: most queues have nothing.
  if (!hasWaiting() || device->suspended.load()) return false;
  const std::lock_guard lock(mutex_);
  return hasWaiting() && freeJob(engine) != jobs_.size();
}

Job* QueueRun::take(const std::shared_ptr<QueueRun>& self, Engine& engine) {
  const std::lock_guard lock(mutex_);
  if (!hasWaiting() || device->suspended.load()) return nullptr;
  const std::size_t place = freeJob(engine);
  if (place == jobs_.size()) return nullptr;
  std::unique_ptr<Job>& job = jobs_[place];
  if (!restored_.empty()) {
    // Those before everything that waits, and the oldest first: later ones may wait for it.
    if (!restored_.back()->prepare()) return nullptr;
    job = std::move(restored_.back());
    restored_.pop_back();
    resumable_.fetch_sub(1);
    job->adopt(self, engine);
    return job.get();
  }
  // Without memory for the job the engine tries again.
  if (!job->prepare()) return nullptr;
  const uint64_t head = head_.load();
  const bool last = head + 1 == tail_.load();
  job->begin(self, engine, head, ring_[head % ring_.size()], last ? nullptr : &ring_[(head + 1) % ring_.size()]);
  head_.store(head + 1);
  takeOccupancy(status_, 1);
  return job.get();
}

void QueueRun::finish(Job& job, bool completed) {
  (completed ? counters_->completed : counters_->abandoned).fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  job.end();
  if (ownerWaits_) owner_.wake();
  for (const auto& other : jobs_) {
    if (other->engine() != nullptr && other->waitsForEarlier() && endedBeforeLocked(other->sequence())) {
      other->engine()->wake();
    }
  }
}

bool QueueRun::waitForEarlier(Job& job) {
  const std::lock_guard lock(mutex_);
  const bool ended = endedBeforeLocked(job.sequence());
  job.setWaitsForEarlier(!ended);
  return ended;
}

}  // namespace mdev
