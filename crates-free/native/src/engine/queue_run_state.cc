// A run while its device is suspended.
#include <algorithm>
#include <span>
#include <utility>

#include "base/state_archive.h"
#include "dsa/guest_access.h"
#include "engine/engine.h"
#include "engine/group.h"
#include "engine/job.h"
#include "engine/queue_run.h"
#include "engine/state_version.h"

namespace mdev {
namespace {

/// More than any device submits; far below what would wrap.
constexpr uint64_t kMostSequences = uint64_t{1} << 62;
static_assert(Group::kMostInProgress <= QueueRun::kMostJobs);

}  // namespace

void QueueRun::awaitRest() {
  for (;;) {
    {
      const std::lock_guard lock(*mutex_);
      const std::span<Job* const> busy = jobs_.busy();
      ownerWaits_ = std::any_of(busy.begin(), busy.end(), [](const Job* job) { return job->ending(); });
      if (!ownerWaits_) return;
    }
    owner_.park();
  }
}

uint32_t QueueRun::resume() {
  const std::lock_guard lock(*mutex_);
  wakeEngines();
  return static_cast<uint32_t>(tail_.load() - head_.load()) + withoutEngine_.load();
}

bool QueueRun::outstanding() const {
  const std::lock_guard lock(*mutex_);
  const std::span<Job* const> busy = jobs_.busy();
  return std::any_of(busy.begin(), busy.end(), [](const Job* job) { return job->outstanding(); });
}

bool QueueRun::releaseMessages() {
  if (!outstanding()) return false;
  // All that were made count as given up while the channel looks at them, though no descriptor is.
  const std::lock_guard lock(*mutex_);
  for (Job* const job : jobs_.busy()) job->releaseMessages();
  messagesReleased_ = true;
  return true;
}

void QueueRun::messagesCancelled() {
  if (!std::exchange(messagesReleased_, false)) return;
  const std::lock_guard lock(*mutex_);
  for (Job* const job : jobs_.busy()) job->interrupted();
}

bool QueueRun::worthSaving() const {
  if (accepting_) return true;
  const std::lock_guard lock(*mutex_);
  const std::span<Job* const> busy = jobs_.busy();
  return head_.load() != tail_.load() ||
         std::any_of(busy.begin(), busy.end(), [](const Job* job) { return !job->aborted(); });
}

QueueRun::Remains QueueRun::remains() const {
  Remains remains;
  const std::lock_guard lock(*mutex_);
  for (const Job* job : jobs_.busy()) {
    const bool told = !forgotten(job->sequence());
    ++(told && job->completesRevealed() ? remains.completed : remains.abandoned);
    if (const std::optional<uint16_t> due = job->dueInterrupt(); told && due) remains.interrupts.push_back(*due);
  }
  return remains;
}

bool QueueRun::abortedSelectively() const {
  const std::lock_guard lock(*mutex_);
  return jobs_.abortedSelectively();
}

void QueueRun::save(StateWriter& archive, uint32_t version) const {
  const uint64_t head = head_.load();
  const uint64_t tail = tail_.load();
  archive.choice(accepting_);
  archive.value(head);
  archive.value(tail);
  // Where the others begin: of a run with `abortedSelectively` each job says it.
  uint64_t abandonedBefore = 0;
  {
    const std::lock_guard lock(*mutex_);
    if (!jobs_.abortedSelectively()) abandonedBefore = jobs_.abortedBefore();
  }
  archive.value(abandonedBefore);
  for (uint64_t sequence = head; sequence < tail; ++sequence) archive.bytes(ring_[sequence % ring_.size()].bytes);

  std::vector<const Job*> inFlight;
  {
    // Only while it looks who is busy: engines of other devices wait for the same lock.
    const std::lock_guard lock(*mutex_);
    // The oldest last: each has a smaller number than the one before.
    inFlight.assign(jobs_.busy().rbegin(), jobs_.busy().rend());
  }
  exchangeCount(archive, inFlight.size(), kMostJobs);
  for (const Job* job : inFlight) {
    if (version >= kSelectiveState) archive.choice(job->aborted());
    if (forgotten(job->sequence())) {
      job->saveForgotten(archive);
    } else {
      job->save(archive);
    }
  }
}

std::vector<dsa::Descriptor> QueueRun::left() const {
  const std::lock_guard lock(*mutex_);
  std::vector<dsa::Descriptor> all;
  for (const Job* job : jobs_.busy()) {
    if (!job->aborted()) all.push_back(job->descriptor());
  }
  const uint64_t tail = tail_.load();
  for (uint64_t sequence = head_.load(); sequence < tail; ++sequence) all.push_back(ring_[sequence % ring_.size()]);
  return all;
}

std::vector<std::pair<uint64_t, uint8_t>> QueueRun::loggedBatches() const {
  const std::lock_guard lock(*mutex_);
  std::vector<std::pair<uint64_t, uint8_t>> all;
  for (const Job* job : jobs_.busy()) {
    const std::optional<uint8_t> number = job->loggedBatch();
    if (number && !forgotten(job->sequence())) all.emplace_back(job->sequence(), *number);
  }
  return all;
}

bool QueueRun::noteLoggedBatch(uint64_t sequence, uint8_t number) {
  const std::span<Job* const> busy = jobs_.busy();
  const auto found =
      std::find_if(busy.begin(), busy.end(), [sequence](const Job* job) { return job->sequence() == sequence; });
  if (found == busy.end()) return false;
  (*found)->endInLog(number);
  return true;
}

void QueueRun::restore(StateReader& archive, uint32_t version) {
  uint64_t head = 0;
  uint64_t tail = 0;
  uint64_t abandonedBefore = 0;
  archive.choice(accepting_);
  archive.value(head);
  archive.value(tail);
  archive.value(abandonedBefore);
  archive.require(head <= tail && tail - head <= ring_.size() && tail < kMostSequences && abandonedBefore <= tail);
  for (uint64_t sequence = head; archive.good() && sequence < tail; ++sequence) {
    archive.bytes(ring_[sequence % ring_.size()].bytes);
  }
  const uint32_t jobs = exchangeCount(archive, 0, kMostJobs);
  uint64_t later = head;
  for (uint32_t index = 0; archive.good() && index < jobs; ++index) {
    auto job = std::make_unique<Job>();
    bool aborted = false;
    if (version >= kSelectiveState) archive.choice(aborted);
    job->restore(archive, *this);
    archive.require(job->sequence() < later);
    later = job->sequence();
    if (aborted || later < abandonedBefore) job->abort();
    jobs_.add(std::move(job));
  }
  head_.store(head);
  tail_.store(tail);
  withoutEngine_.store(static_cast<uint32_t>(jobs_.busy().size()));
}

}  // namespace mdev
