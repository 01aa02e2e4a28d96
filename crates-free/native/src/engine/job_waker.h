// Who is told when a request of a job is answered.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "engine/parker.h"
#include "memory/waker.h"

namespace mdev {

/// Wakes the engine that has the job by then, which need not be the one that sent the request.
class JobWaker final : public Waker {
 public:
  /// Any thread.
  void wake() override {
    const std::lock_guard lock(mutex_);
    if (target_ != nullptr) target_->wakeToLook();
  }
  /// Under the lock of the job's run. Who looks for answers afterwards misses none: it is woken, or sees them.
  void setTarget(const std::shared_ptr<Parker>& target) {
    if (target_ == target) return;
    const std::lock_guard lock(mutex_);
    target_ = target;
  }

 private:
  std::mutex mutex_;
  /// Written under both locks.
  std::shared_ptr<Parker> target_;
};

}  // namespace mdev
