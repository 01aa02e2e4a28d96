#include "transport/socket_io.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mdev {

namespace {

/// Every fd that a received message brought.
void takeFds(msghdr& message, const std::shared_ptr<FdCloser>& closer, std::vector<ForeignFd>& fds) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd, closer);
    }
  }
}

}  // namespace

void takeUrgentInLine(int socket) {
  const int yes = 1;
  // A kernel without urgent bytes on UNIX sockets knows the option all the same.
  ::setsockopt(socket, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes);
}

ReceiveResult receiveOnce(int socket, std::span<std::byte> room, const std::shared_ptr<FdCloser>& closer) {
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFdsPerRead * sizeof(int))];
  iovec vector{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;

  ReceiveResult result;
  do {
    result.size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (result.size < 0 && errno == EINTR);
  if (result.size < 0) {
    result.size = -errno;
    return result;
  }
  if (message.msg_controllen > 0) takeFds(message, closer, result.fds);
  result.truncated = (message.msg_flags & MSG_CTRUNC) != 0;
  return result;
}

ssize_t sendOnce(int socket, std::span<const std::byte> bytes, std::span<const FileDescriptor> fds) {
  ssize_t size;
  if (fds.empty()) {
    do {
      size = ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size < 0 ? -errno : size;
  }
  iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFdsPerRead * sizeof(int))];
  const std::size_t count = std::min(fds.size(), kMaxFdsPerRead);
  std::memset(control, 0, CMSG_SPACE(count * sizeof(int)));
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = fds[i].get();
    std::memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof fd);
  }
  do {
    size = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (size < 0 && errno == EINTR);
  return size < 0 ? -errno : size;
}

bool peerHungUp(int socket) {
  pollfd entry{socket, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace mdev
