#include "engine/queue_run.h"

#include <algorithm>
#include <new>
#include <utility>

#include "engine/engine.h"
#include "engine/group.h"
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
      ring_(settings.size),
      mutex_(servedBy->lock()) {}

QueueRun::~QueueRun() = default;

bool QueueRun::push(const dsa::Descriptor& descriptor) {
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) >= ring_.size()) return false;
  ring_[tail % ring_.size()] = descriptor;
  // Written by nobody else.
  counters_->submitted.store(counters_->submitted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  addOccupancy(status_);
  tail_.store(tail + 1, std::memory_order_release);
  return true;
}

void QueueRun::showOccupancy() {
  takeOccupancy(status_, kOccupancy);
  status_.fetch_or(static_cast<uint32_t>(waiting()) & kOccupancy);
}

void QueueRun::abort() {
  const std::lock_guard lock(*mutex_);
  messages_.abandonedBefore.store(tail_.load());
  dropWaiting();
  for (const auto& job : jobs_) {
    if (job->engine() != nullptr) job->engine()->wake();
  }
}

void QueueRun::endAbandoned() {
  if (device->suspended.load()) return;
  const std::lock_guard lock(*mutex_);
  for (const auto& job : jobs_) {
    if (!job->waitsForEngine() || !aborted(job->sequence()) || job->outstanding()) continue;
    withoutEngine_.fetch_sub(1);
    endLocked(*job, job->endAbandoned(*this) == Turn::completed);
  }
}

void QueueRun::detach() {
  accepting_ = false;
  messages_.abandonedBefore.store(kEverything);
  const std::lock_guard lock(*mutex_);
  dropWaiting();
  for (const auto& job : jobs_) {
    if (job->waitsForEngine()) endLocked(*job, false);
  }
  withoutEngine_.store(0);
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
  places_ = std::max(places_, engines);
  while (jobs_.size() < engines) {
    auto job = std::make_unique<Job>();
    if (!job->prepare()) throw std::bad_alloc();
    jobs_.push_back(std::move(job));
  }
}

uint64_t QueueRun::waiting() const {
  const std::lock_guard lock(*mutex_);
  return tail_.load() - head_.load();
}

uint32_t QueueRun::inFlight() const {
  const std::lock_guard lock(*mutex_);
  return static_cast<uint32_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->busy(); }));
}

bool QueueRun::endedBefore(uint64_t sequence) const {
  const std::lock_guard lock(*mutex_);
  return endedBeforeLocked(sequence);
}

bool QueueRun::endedBeforeLocked(uint64_t sequence) const {
  if (head_.load() < sequence) return false;
  return std::none_of(jobs_.begin(), jobs_.end(),
                      [sequence](const auto& job) { return job->busy() && job->sequence() < sequence; });
}

bool QueueRun::endingBeforeLocked(uint64_t sequence) const {
  return head_.load() >= sequence && !endedBeforeLocked(sequence) &&
         std::all_of(jobs_.begin(), jobs_.end(), [sequence](const auto& job) {
           return !job->busy() || job->sequence() >= sequence || job->ending();
         });
}

void QueueRun::awaitEnding(uint64_t sequence) {
  for (;;) {
    {
      const std::lock_guard lock(*mutex_);
      ownerWaits_ = endingBeforeLocked(sequence);
      if (!ownerWaits_) return;
    }
    owner_.park();
  }
}

/// The job that the engine is to work with next: one that it goes on with, or a free one for the next descriptor. Null
/// when there is nothing for it.
Job* QueueRun::jobFor(const Engine& engine) const {
  Job* free = nullptr;
  Job* left = nullptr;
  uint64_t own = kEverything;
  for (const auto& job : jobs_) {
    if (!job->busy()) {
      free = job.get();
    } else if (job->engine() == &engine) {
      own = std::min(own, job->sequence());
    } else if (job->waitsForEngine() && (left == nullptr || job->sequence() < left->sequence())) {
      left = job.get();
    }
  }
  // Those before everything that waits, and the oldest first: later ones may wait for it, even what the engine has.
  if (left != nullptr) return left->sequence() < own ? left : nullptr;
  return own == kEverything && head_.load() != tail_.load() ? free : nullptr;
}

bool QueueRun::availableTo(const Engine& engine) const {
  return hasWaiting() && !device->suspended.load() && jobFor(engine) != nullptr;
}

Job* QueueRun::take(std::shared_ptr<QueueRun>&& self, Engine& engine) {
  if (!hasWaiting() || device->suspended.load()) return nullptr;
  Job* const job = jobFor(engine);
  if (job == nullptr) return nullptr;
  if (!job->prepare()) {
    engine.noteStarved();
    return nullptr;
  }
  if (job->waitsForEngine()) {
    withoutEngine_.fetch_sub(1);
    job->adopt(std::move(self), engine);
    return job;
  }
  const uint64_t head = head_.load();
  const bool last = head + 1 == tail_.load();
  job->begin(std::move(self), engine, head, ring_[head % ring_.size()],
             last ? nullptr : &ring_[(head + 1) % ring_.size()]);
  head_.store(head + 1, std::memory_order_release);
  takeOccupancy(status_, 1);
  return job;
}

bool QueueRun::handBack(Job& job, bool insist) {
  const std::lock_guard lock(*mutex_);
  // Requests that are not cancelled yet belong to an abort that has not come to `endAbandoned`; a suspended device
  // stays as it is.
  const bool waits = insist || job.outstanding() || device->suspended.load();
  if (detached() || (aborted(job.sequence()) && !waits)) return false;
  job.handBack();
  withoutEngine_.fetch_add(1);
  return true;
}

void QueueRun::finish(Job& job, bool completed) {
  const std::lock_guard lock(*mutex_);
  finishLocked(job, completed);
}

void QueueRun::finishLocked(Job& job, bool completed) {
  endLocked(job, completed);
  if (jobs_.size() <= places_) return;
  std::erase_if(jobs_, [&](const auto& own) { return own.get() == &job; });
}

void QueueRun::endLocked(Job& job, bool completed) {
  (completed ? counters_->completed : counters_->abandoned).fetch_add(1, std::memory_order_relaxed);
  job.end();
  if (ownerWaits_) owner_.wake();
  for (const auto& other : jobs_) {
    if (other->engine() != nullptr && other->waitsForEarlier() && endedBeforeLocked(other->sequence())) {
      other->engine()->wake();
    }
  }
}

bool QueueRun::waitForEarlier(Job& job) {
  const std::lock_guard lock(*mutex_);
  const bool ended = endedBeforeLocked(job.sequence());
  job.setWaitsForEarlier(!ended);
  return ended;
}

}  // namespace mdev
