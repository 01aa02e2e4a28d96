// Jobs that an engine has, first come first.
#pragma once

#include <cstddef>

#include "engine/job.h"

namespace mdev {

/// A job is in one list at most. One thread.
class JobList {
 public:
  std::size_t size() const { return size_; }
  /// Or null.
  Job* first() const { return first_; }
  /// The one of this run with the lowest sequence number, or null. Looks at all.
  Job* oldestOf(const QueueRun& run) const {
    Job* oldest = nullptr;
    for (Job* job = first_; job != nullptr; job = job->next) {
      if (job->run().get() == &run && (oldest == nullptr || job->sequence() < oldest->sequence())) oldest = job;
    }
    return oldest;
  }
  void append(Job& job) {
    job.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &job;
    last_ = &job;
    ++size_;
  }
  /// The first one, which is in no list then; or null.
  Job* pop() {
    Job* const job = first_;
    if (job == nullptr) return nullptr;
    first_ = job->next;
    if (first_ == nullptr) last_ = nullptr;
    --size_;
    return job;
  }
  /// One that is in this list. Looks for it from the first one on.
  void remove(Job& job) {
    Job* before = nullptr;
    for (Job* other = first_; other != &job; other = other->next) before = other;
    (before != nullptr ? before->next : first_) = job.next;
    if (last_ == &job) last_ = before;
    --size_;
  }

 private:
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mdev
