#include "core/io_event_fd.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/eventfd.h"

namespace mdev {

IoEventFd::IoEventFd(std::shared_ptr<DeviceCore> core, uint32_t region, uint64_t offset,
                     std::span<const std::byte> value, FileDescriptor eventfd)
    : core_(std::move(core)),
      region_(region),
      offset_(offset),
      size_(std::min(value.size(), kMaxValue)),
      // Each read takes one: what is left keeps the descriptor readable.
      fd_(eventfd ? std::move(eventfd) : FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "eventfd");
  std::copy_n(value.begin(), size_, value_.begin());
}

uint32_t IoEventFd::serve(uint32_t writes) {
  const auto value = std::span<const std::byte>(value_).first(size_);
  uint32_t done = 0;
  for (; done < writes && !closed_ && takeForeignEventfd(fd_.get()); ++done) core_->post(region_, offset_, value);
  core_->flush();
  return done;
}

}  // namespace mdev
