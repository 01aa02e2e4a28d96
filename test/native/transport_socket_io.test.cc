// sources: transport/socket_io.cc base/fd_closer.cc
// sanitize: address,undefined
#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "transport/socket_io.h"

using namespace mdev;

namespace {

struct Pair {
  Pair() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    near.reset(fds[0]);
    far.reset(fds[1]);
  }
  FileDescriptor near;
  FileDescriptor far;
};

/// Without those that are about to be closed.
int openFiles() {
  CHECK(FdCloser::drain(std::chrono::seconds(60)));
  DIR* directory = ::opendir("/proc/self/fd");
  CHECK(directory != nullptr);
  int count = -3;  // `.`, `..` and the directory itself
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

std::vector<FileDescriptor> eventfds(std::size_t count) {
  std::vector<FileDescriptor> list;
  for (std::size_t i = 0; i < count; ++i) list.emplace_back(::eventfd(0, EFD_CLOEXEC));
  return list;
}

const std::array<std::byte, 16> kBytes{};
const auto kCloser = std::make_shared<FdCloser>();

void neverBlocks() {
  Pair pair;
  std::array<std::byte, 64> room;
  CHECK_EQUAL(receiveOnce(pair.near.get(), room, kCloser).size, -EAGAIN);
  ssize_t sent = 0;
  while (sent >= 0) sent = sendOnce(pair.near.get(), kBytes, {});
  CHECK_EQUAL(sent, -EAGAIN);
}

void everyFdThatLinuxTakes() {
  const int before = openFiles();
  {
    Pair pair;
    const auto fds = eventfds(kMaxFdsPerRead);
    CHECK_EQUAL(sendOnce(pair.far.get(), kBytes, fds), 16);
    std::array<std::byte, 64> room;
    const ReceiveResult result = receiveOnce(pair.near.get(), room, kCloser);
    CHECK_EQUAL(result.size, 16);
    CHECK_EQUAL(result.fds.size(), kMaxFdsPerRead);
    CHECK(!result.truncated);
    for (const ForeignFd& fd : result.fds) CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK_EQUAL(openFiles(), before);
}

/// Urgent bytes are bytes, and their descriptors are the reader's to close.
void urgentBytesAreNoExcuse() {
  const int before = openFiles();
  {
    Pair pair;
    takeUrgentInLine(pair.near.get());
    const auto fds = eventfds(1);
    // Linux makes the last byte urgent.
    const std::array<char, 3> text{'a', 'b', 'c'};
    iovec vector{const_cast<char*>(text.data()) + 1, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = fds[0].get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    CHECK_EQUAL(::send(pair.far.get(), &text[0], 1, 0), 1);
    if (::sendmsg(pair.far.get(), &message, MSG_OOB) < 0) {
      CHECK_EQUAL(errno, EOPNOTSUPP);  // a kernel that has none
      return;
    }
    CHECK_EQUAL(::send(pair.far.get(), &text[2], 1, 0), 1);
    std::string got;
    std::size_t brought = 0;
    while (got.size() < text.size()) {
      std::array<std::byte, 64> room;
      const ReceiveResult result = receiveOnce(pair.near.get(), room, kCloser);
      CHECK(result.size > 0 && !result.truncated);
      got.append(reinterpret_cast<const char*>(room.data()), static_cast<std::size_t>(result.size));
      brought += result.fds.size();
    }
    CHECK_EQUAL(got, "abc");
    CHECK_EQUAL(brought, 1u);
  }
  CHECK_EQUAL(openFiles(), before);
}

void saysWhenFdsWereLost() {
  const int before = openFiles();
  {
    Pair pair;
    CHECK_EQUAL(sendOnce(pair.far.get(), kBytes, eventfds(10)), 16);
    rlimit old{};
    CHECK(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    const rlimit few{static_cast<rlim_t>(openFiles() + 4), old.rlim_max};
    CHECK(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    std::array<std::byte, 64> room;
    const ReceiveResult result = receiveOnce(pair.near.get(), room, kCloser);
    CHECK(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK_EQUAL(result.size, 16);
    CHECK(result.truncated);
    CHECK(result.fds.size() < 10);
  }
  CHECK_EQUAL(openFiles(), before);
}

void hangingUp() {
  Pair pair;
  CHECK(!peerHungUp(pair.near.get()));
  CHECK_EQUAL(sendOnce(pair.far.get(), kBytes, {}), 16);
  pair.far.reset();
  // With bytes still unread.
  CHECK(peerHungUp(pair.near.get()));
  std::array<std::byte, 64> room;
  CHECK_EQUAL(receiveOnce(pair.near.get(), room, kCloser).size, 16);
  CHECK_EQUAL(receiveOnce(pair.near.get(), room, kCloser).size, 0);
  // No SIGPIPE.
  CHECK_EQUAL(sendOnce(pair.near.get(), kBytes, {}), -EPIPE);
}

}  // namespace

int main() {
  neverBlocks();
  everyFdThatLinuxTakes();
  urgentBytesAreNoExcuse();
  saysWhenFdsWereLost();
  hangingUp();
}
