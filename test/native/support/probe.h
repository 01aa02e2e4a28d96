// Eventfds as a client has them.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "base/foreign_fd.h"

namespace mdev::test {

/// An eventfd of which the test keeps one end, to see what arrives.
class Probe {
 public:
  Probe() : fd_(::eventfd(0, EFD_NONBLOCK)) {}
  int fd() const { return fd_.get(); }
  /// The end that is given away.
  FileDescriptor share() const { return FileDescriptor(::dup(fd_.get())); }
  /// The counter, which becomes 0.
  uint64_t take() const {
    uint64_t count = 0;
    return ::read(fd_.get(), &count, sizeof(count)) == sizeof(count) ? count : 0;
  }

 private:
  FileDescriptor fd_;
};

template <typename... Fds>
std::vector<ForeignFd> list(Fds... fds) {
  std::vector<ForeignFd> made;
  (made.push_back(std::move(fds)), ...);
  return made;
}

}  // namespace mdev::test
