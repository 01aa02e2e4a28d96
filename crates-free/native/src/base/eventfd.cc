#include "base/eventfd.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/kernel_signal.h"

namespace mdev {

bool isEventfd(int fd) {
  if (fd < 0) return false;
  constexpr std::string_view kTarget = "anon_inode:[eventfd]";
  char target[64];
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof(target));
  return length > 0 && std::string_view(target, static_cast<std::size_t>(length)) == kTarget;
}

bool setNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ((flags & O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

void signalEventfd(int fd) {
  const uint64_t one = 1;
  while (::write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

void signalForeignEventfd(int fd) {
  KernelSignal* kernel = KernelSignal::instance();
  if (kernel != nullptr && kernel->signal(fd)) return;
  // Without AIO a peer that races with fcntl can still make this wait; that is as far as write(2) goes.
  if (setNonBlocking(fd)) signalEventfd(fd);
}

std::optional<uint64_t> takeForeignEventfd(int fd) {
  uint64_t count = 0;
  const iovec into{&count, sizeof(count)};
  ssize_t size;
  do {
    size = ::preadv2(fd, &into, 1, -1, RWF_NOWAIT);
  } while (size < 0 && errno == EINTR);
  // The kernel's eventfd does not know the flag before 5.8.
  if (size < 0 && errno == EOPNOTSUPP && setNonBlocking(fd)) size = ::read(fd, &count, sizeof(count));
  if (size != sizeof(count)) return std::nullopt;
  return count;
}

}  // namespace mdev
