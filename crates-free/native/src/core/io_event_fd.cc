#include "core/io_event_fd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace mdev {

IoEventFd::IoEventFd(std::shared_ptr<DeviceCore> core, uint32_t region, uint64_t offset,
                     std::span<const std::byte> value)
    : core_(std::move(core)),
      region_(region),
      offset_(offset),
      size_(std::min(value.size(), kMaxValue)),
      // Each read takes one: what is left keeps the descriptor readable.
      fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "eventfd");
  std::copy_n(value.begin(), size_, value_.begin());
}

bool IoEventFd::take() {
  uint64_t one = 0;
  iovec into{&one, sizeof one};
  ssize_t size;
  // O_NONBLOCK belongs to the open file, which the other side can change.
  do {
    size = ::preadv2(fd_.get(), &into, 1, -1, RWF_NOWAIT);
  } while (size < 0 && errno == EINTR);
  return size == static_cast<ssize_t>(sizeof one);
}

void IoEventFd::serve() {
  const auto value = std::span<const std::byte>(value_).first(size_);
  for (uint32_t n = 0; n < kWritesPerTurn && !closed_ && take(); ++n) core_->post(region_, offset_, value);
  core_->flush();
}

}  // namespace mdev
