// Writes of the guest's that reach the device as signals of an eventfd (KVM_IOEVENTFD).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/file_descriptor.h"
#include "core/device_core.h"

namespace mdev {

/// An eventfd, each count of which stands for one write of the same value to the same place of a region. Owner thread.
///
/// The other side holds the eventfd too, and may do with it whatever it likes: fill the counter (each turn does a
/// bounded part of it), empty it, or let reads block (they are told not to).
class IoEventFd {
 public:
  /// Writes of one turn of an event loop, at most.
  static constexpr uint32_t kWritesPerTurn = 64;
  /// Largest value, bytes.
  static constexpr std::size_t kMaxValue = 8;

  /// `value` has 1 to kMaxValue bytes. `eventfd` is one that another process has made for the same; empty: a new one.
  /// Throws std::system_error.
  IoEventFd(std::shared_ptr<DeviceCore> core, uint32_t region, uint64_t offset, std::span<const std::byte> value,
            FileDescriptor eventfd = {});

  int fd() const { return fd_.get(); }
  /// Does the writes that were signalled, as if the guest had sent them, at most `writes` of them, so that `fd` may
  /// stay readable. Returns how many there were. What the device refuses is counted there. A hook may call `close`.
  uint32_t serve(uint32_t writes);
  /// No write happens any more.
  void close() { closed_ = true; }

 private:
  const std::shared_ptr<DeviceCore> core_;
  const uint32_t region_;
  const uint64_t offset_;
  std::array<std::byte, kMaxValue> value_{};
  const std::size_t size_;
  const FileDescriptor fd_;
  bool closed_ = false;
};

}  // namespace mdev
