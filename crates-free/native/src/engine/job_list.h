// Jobs that an engine has, first come first.
#pragma once

#include <cstddef>

#include "engine/job.h"

namespace mdev {

/// A job is in one list at most. One thread.
class JobList {
 public:
  std::size_t size() const { return size_; }
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

 private:
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mdev
