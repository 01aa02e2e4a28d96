#include "base/fd_closer.h"

#include <sys/prctl.h>

#include <system_error>
#include <thread>
#include <utility>

namespace mdev {

// What is left when no thread could be made stays open: this thread must not wait for it either.
FdCloser::~FdCloser() {
  unclosed_ -= waiting_.size();
  for (FileDescriptor& fd : waiting_) static_cast<void>(fd.release());
}

void FdCloser::close(FileDescriptor fd) {
  if (!fd) return;
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(fd));
  ++unclosed_;
  if (running_) return;
  try {
    std::thread([self = shared_from_this()] { self->run(); }).detach();
    running_ = true;
  } catch (const std::system_error&) {
    // No thread is to be had for now; the next descriptor tries again.
  }
}

bool FdCloser::behind() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size() > kMaxWaiting;
}

void FdCloser::run() {
  ::prctl(PR_SET_NAME, "mdev-closer");
  for (;;) {
    FileDescriptor next;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        running_ = false;
        return;
      }
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    next.reset();
    --unclosed_;
  }
}

bool FdCloser::drain(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (unclosed_ != 0) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

}  // namespace mdev
