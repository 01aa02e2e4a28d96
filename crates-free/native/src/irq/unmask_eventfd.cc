#include "irq/unmask_eventfd.h"

#include <sys/epoll.h>

#include <cerrno>

#include "base/eventfd.h"

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
  // Emptied for a client that looks at it, as the kernel's VFIO does.
  static_cast<void>(takeForeignEventfd(eventfd_.get()));
  return true;
}

}  // namespace mdev
