#include "engine/job_table.h"

#include <algorithm>
#include <new>
#include <utility>

#include "engine/job.h"

namespace mdev {

JobTable::JobTable() = default;
JobTable::~JobTable() = default;

void JobTable::reserve(std::size_t places) {
  places_ = std::max(places_, places);
  const std::size_t most = std::max(places_, jobs_.size());
  jobs_.reserve(most);
  free_.reserve(most);
  busy_.reserve(most);
  while (jobs_.size() < places_) {
    auto job = std::make_unique<Job>();
    if (!job->prepare()) throw std::bad_alloc();
    free_.push_back(job.get());
    jobs_.push_back(std::move(job));
  }
}

void JobTable::add(std::unique_ptr<Job> job) {
  jobs_.reserve(jobs_.size() + 1);
  busy_.insert(busy_.begin(), job.get());
  jobs_.push_back(std::move(job));
}

void JobTable::begun(Job& job) {
  free_.pop_back();
  busy_.push_back(&job);
}

void JobTable::ended(Job& job, bool keep) {
  busy_.erase(std::find(busy_.begin(), busy_.end(), &job));
  if (keep || jobs_.size() <= places_) {
    free_.push_back(&job);
    return;
  }
  jobs_.erase(std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& own) { return own.get() == &job; }));
}

uint64_t JobTable::abortedBefore() const {
  uint64_t before = 0;
  for (const Job* const job : busy_) {
    if (job->aborted()) before = job->sequence() + 1;
  }
  return before;
}

bool JobTable::abortedSelectively() const {
  const uint64_t before = abortedBefore();
  return std::any_of(busy_.begin(), busy_.end(),
                     [before](const Job* job) { return job->sequence() < before && !job->aborted(); });
}

bool JobTable::noneBefore(uint64_t sequence) const { return busy_.empty() || busy_.front()->sequence() >= sequence; }

}  // namespace mdev
