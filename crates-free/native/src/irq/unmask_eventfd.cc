#include "irq/unmask_eventfd.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>

namespace mdev {

int UnmaskEventfd::open() {
  FileDescriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (!epoll || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, eventfd_.get(), &event) != 0) return errno;
  epoll_ = std::move(epoll);
  return 0;
}

bool UnmaskEventfd::take() const {
  epoll_event event{};
  if (::epoll_wait(epoll_.get(), &event, 1, 0) != 1) return false;
  uint64_t count = 0;
  const iovec into{&count, sizeof(count)};
  // Emptied for a client that looks at it, as the kernel's VFIO does. Kernels before 5.8 refuse, and nothing is lost.
  static_cast<void>(::preadv2(eventfd_.get(), &into, 1, -1, RWF_NOWAIT));
  return true;
}

}  // namespace mdev
