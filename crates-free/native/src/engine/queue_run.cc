#include "engine/queue_run.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/engine.h"
#include "engine/group.h"
#include "engine/job.h"

namespace mdev {
namespace {

dsa::QueueLimits withInterrupts(dsa::QueueLimits limits) {
  limits.completionInterrupts = true;
  return limits;
}

}  // namespace

QueueRun::QueueRun(std::shared_ptr<DeviceContext> context, std::shared_ptr<QueueCounters> counters, uint32_t queue,
                   const QueueConfig& settings, const std::shared_ptr<Group>& servedBy)
    : index(queue),
      config(settings),
      device(std::move(context)),
      group(servedBy),
      counters_(std::move(counters)),
      occupancy_(device->occupancy(queue)),
      privilegedLimits_(withInterrupts(settings.limits)),
      ring_(settings.size),
      mutex_(servedBy->lock()) {}

QueueRun::~QueueRun() = default;

bool QueueRun::push(const dsa::Descriptor& descriptor, uint32_t limit) {
  const uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) >= limit) return false;
  ring_[tail % ring_.size()] = descriptor;
  // Written by nobody else.
  counters_->submitted.store(counters_->submitted.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  occupancy_.add();
  tail_.store(tail + 1, std::memory_order_release);
  return true;
}

void QueueRun::showOccupancy() { occupancy_.show(waiting()); }

bool QueueRun::selected(const dsa::Descriptor& descriptor, const Selection& selection) const {
  if (!selection.pasid) return true;
  const std::optional<Pasid> submitter = submitterOf(config, descriptor);
  return submitter && submitter->value == *selection.pasid;
}

std::optional<Selection> QueueRun::selectionOf(uint32_t pasid) const {
  if (!config.pasid) return std::nullopt;
  if (!config.dedicated) return Selection{pasid};
  return config.pasid->value == pasid ? std::optional(Selection{}) : std::nullopt;
}

uint64_t QueueRun::endOf(const Selection& selection) const {
  const uint64_t tail = tail_.load();
  if (!selection.pasid) return tail;
  // Written by this thread; engines only take away from the front.
  const uint64_t head = head_.load();
  for (uint64_t end = tail; end > head; --end) {
    if (selected(ring_[(end - 1) % ring_.size()], selection)) return end;
  }
  return head;
}

bool QueueRun::abort(const Selection& selection, bool clientGone) {
  const std::lock_guard lock(*mutex_);
  if (clientGone) forgottenBefore_.store(tail_.load());
  bool inFlight = false;
  for (Job* const job : jobs_.busy()) {
    if (!selected(job->descriptor(), selection)) continue;
    job->abort();
    inFlight = true;
  }
  dropWaiting(selection);
  wakeEngines();
  return inFlight;
}

void QueueRun::wakeEngines() const {
  for (const Job* const job : jobs_.busy()) {
    if (job->engine() != nullptr) job->engine()->wakeToLook();
  }
}

void QueueRun::endAbandoned() {
  if (device->suspended.load()) return;
  const std::lock_guard lock(*mutex_);
  for (std::size_t place = 0; place < jobs_.busy().size();) {
    Job& job = *jobs_.busy()[place];
    if (job.waitsForEngine() && job.aborted() && !job.outstanding()) {
      withoutEngine_.fetch_sub(1);
      endLocked(job, job.endAbandoned(*this) == Turn::completed);
    } else {
      ++place;
    }
  }
}

void QueueRun::detach() {
  accepting_ = false;
  const std::lock_guard lock(*mutex_);
  for (Job* const job : jobs_.busy()) job->abort();
  // Only now: whatever is in flight in a run that is detached is aborted.
  detached_.store(true);
  dropWaiting({});
  for (std::size_t place = 0; place < jobs_.busy().size();) {
    Job& job = *jobs_.busy()[place];
    if (job.waitsForEngine()) {
      endLocked(job, false);
    } else {
      ++place;
    }
  }
  withoutEngine_.store(0);
  // From now on nothing is dispatched; whatever the guest did to the count, the next enable begins at 0.
  occupancy_.clear();
  wakeEngines();
}

/// Those that stay move up to the newest, in their order: their numbers stay above those of everything in flight. Looks
/// at as many as the queue holds; everybody else of the group waits meanwhile.
void QueueRun::dropWaiting(const Selection& selection) {
  const uint64_t tail = tail_.load();
  const uint64_t head = head_.load();
  uint64_t kept = tail;
  for (uint64_t end = tail; selection.pasid && end > head; --end) {
    const dsa::Descriptor& descriptor = ring_[(end - 1) % ring_.size()];
    if (selected(descriptor, selection)) continue;
    --kept;
    if (kept != end - 1) ring_[kept % ring_.size()] = descriptor;
  }
  const uint64_t dropped = kept - head;
  occupancy_.take(dropped);
  counters_->abandoned.fetch_add(dropped, std::memory_order_relaxed);
  head_.store(kept);
}

bool QueueRun::ended() const { return !accepting_ && endedBefore(submitted()); }

uint64_t QueueRun::waiting() const {
  const std::lock_guard lock(*mutex_);
  return tail_.load() - head_.load();
}

uint32_t QueueRun::inFlight() const {
  const std::lock_guard lock(*mutex_);
  return static_cast<uint32_t>(jobs_.busy().size());
}

bool QueueRun::endedBefore(uint64_t sequence, const Selection& selection) const {
  const std::lock_guard lock(*mutex_);
  return endedBeforeLocked(sequence, selection);
}

bool QueueRun::endedBeforeLocked(uint64_t sequence, const Selection& selection) const {
  if (head_.load() < sequence) return false;
  if (!selection.pasid) return jobs_.noneBefore(sequence);
  const std::span<Job* const> busy = jobs_.busy();
  return std::none_of(busy.begin(), busy.end(), [&](const Job* job) {
    return job->sequence() < sequence && selected(job->descriptor(), selection);
  });
}

bool QueueRun::endingBeforeLocked(uint64_t sequence, const Selection& selection) const {
  const std::span<Job* const> busy = jobs_.busy();
  return head_.load() >= sequence && !endedBeforeLocked(sequence, selection) &&
         std::all_of(busy.begin(), busy.end(), [&](const Job* job) {
           return job->sequence() >= sequence || job->ending() || !selected(job->descriptor(), selection);
         });
}

void QueueRun::awaitEnding(uint64_t sequence, const Selection& selection) {
  for (;;) {
    {
      const std::lock_guard lock(*mutex_);
      ownerWaits_ = endingBeforeLocked(sequence, selection);
      if (!ownerWaits_) return;
    }
    owner_.park();
  }
}

/// The job that the engine is to work with next: one that it goes on with, or a free one for the next descriptor. Null
/// when there is nothing for it.
Job* QueueRun::jobFor(const Engine& engine) const {
  Job* left = nullptr;
  uint64_t own = kEverything;
  for (Job* const job : jobs_.busy()) {
    if (job->engine() == &engine) {
      if (own == kEverything && !job->parked()) own = job->sequence();
    } else if (left == nullptr && job->waitsForEngine()) {
      left = job;
    }
  }
  // Those before everything that waits, and the oldest first: later ones may wait for it, even what the engine has.
  if (left != nullptr) return left->sequence() < own ? left : nullptr;
  return own == kEverything && head_.load() != tail_.load() ? jobs_.free() : nullptr;
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
  jobs_.begun(*job);
  head_.store(head + 1, std::memory_order_release);
  occupancy_.take(1);
  return job;
}

void QueueRun::handBack(Job& job) {
  const std::lock_guard lock(*mutex_);
  // Requests that are not cancelled yet belong to an abort that has not come to `endAbandoned`; a suspended device
  // stays as it is. Not left to the next engine: there may be none for a long time, and a command waits.
  const bool waits = job.outstanding() || device->suspended.load();
  if (detached() || (job.aborted() && !waits)) {
    const Turn last = job.endAbandoned(*this);
    // Or the device was suspended just now.
    if (last != Turn::parked) return endLocked(job, last == Turn::completed);
  }
  setWaitsForEarlier(job, false);
  job.handBack();
  withoutEngine_.fetch_add(1);
}

void QueueRun::finish(Job& job, bool completed) {
  const std::lock_guard lock(*mutex_);
  endLocked(job, completed);
}

void QueueRun::endLocked(Job& job, bool completed) {
  (completed ? counters_->completed : counters_->abandoned).fetch_add(1, std::memory_order_relaxed);
  setWaitsForEarlier(job, false);
  job.end();
  // Its requests may still be under way when the run is detached.
  jobs_.ended(job, detached());
  if (ownerWaits_) owner_.wake();
  if (waitForEarlier_ == 0) return;
  for (const Job* const other : jobs_.busy()) {
    if (other->engine() != nullptr && other->waitsForEarlier()) other->engine()->wakeToLook();
    // Whoever waits for all before it is the oldest then.
    if (config.dedicated) return;
  }
}

bool QueueRun::waitForEarlier(Job& job) {
  const std::lock_guard lock(*mutex_);
  const bool ended = earlierEndedLocked(job);
  setWaitsForEarlier(job, !ended);
  return ended;
}

bool QueueRun::earlierEnded(const Job& job) const {
  const std::lock_guard lock(*mutex_);
  return earlierEndedLocked(job);
}

bool QueueRun::earlierEndedLocked(const Job& job) const {
  Selection selection;
  if (!config.dedicated && config.pasid) selection.pasid = submitterOf(config, job.descriptor())->value;
  return endedBeforeLocked(job.sequence(), selection);
}

void QueueRun::setWaitsForEarlier(Job& job, bool waits) {
  if (job.waitsForEarlier() == waits) return;
  waitForEarlier_ += waits ? 1 : -1;
  job.setWaitsForEarlier(waits);
}

}  // namespace mdev
