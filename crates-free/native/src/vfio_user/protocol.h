// vfio-user on the wire: facts only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace mdev::vfio_user {

/// Commands. Those that are not named here are unknown to C++; it does not serve all of these itself.
inline constexpr uint16_t kCommandVersion = 1;
inline constexpr uint16_t kCommandDmaMap = 2;
inline constexpr uint16_t kCommandDmaUnmap = 3;
inline constexpr uint16_t kCommandSetIrqs = 8;
inline constexpr uint16_t kCommandRegionRead = 9;
inline constexpr uint16_t kCommandRegionWrite = 10;
inline constexpr uint16_t kCommandDmaRead = 11;
inline constexpr uint16_t kCommandDmaWrite = 12;
inline constexpr uint16_t kCommandDeviceReset = 13;
inline constexpr uint16_t kCommandRegionWriteMulti = 15;
inline constexpr uint16_t kCommandDeviceFeature = 16;

/// Header flags.
inline constexpr uint32_t kTypeMask = 0xf;
inline constexpr uint32_t kTypeCommand = 0;
inline constexpr uint32_t kTypeReply = 1;
inline constexpr uint32_t kNoReply = 0x10;
inline constexpr uint32_t kError = 0x20;

/// In front of every message; host byte order. `size` counts these 16 bytes too.
struct Header {
  uint16_t id;
  uint16_t command;
  uint32_t size;
  uint32_t flags;
  uint32_t error;
};
static_assert(sizeof(Header) == 16);

/// What the client answers to what the server asks.
inline bool isDmaReply(const Header& header) {
  return (header.flags & kTypeMask) == kTypeReply &&
         (header.command == kCommandDmaRead || header.command == kCommandDmaWrite);
}

/// What DEVICE_FEATURE begins with.
struct DeviceFeatureBody {
  uint32_t argsz;
  uint32_t flags;
};
inline constexpr uint32_t kDeviceFeatureSet = 1 << 17;
inline constexpr uint32_t kDeviceFeatureProbe = 1 << 18;

/// Body of DMA_MAP.
struct DmaMapBody {
  uint32_t argsz;
  uint32_t flags;
  uint64_t offset;
  uint64_t address;
  uint64_t size;
};
static_assert(sizeof(DmaMapBody) == 32);
inline constexpr uint32_t kDmaMapRead = 1;
inline constexpr uint32_t kDmaMapWrite = 2;

/// Body of DMA_UNMAP, and of its reply.
struct DmaUnmapBody {
  uint32_t argsz;
  uint32_t flags;
  uint64_t address;
  uint64_t size;
};
static_assert(sizeof(DmaUnmapBody) == 24);
inline constexpr uint32_t kDmaUnmapDirty = 1;
inline constexpr uint32_t kDmaUnmapAll = 2;

/// Behind the body of a DMA_UNMAP that asks for dirty pages, and of its reply, which ends with the bitmap.
struct DirtyBitmapBody {
  uint64_t pageSize;
  uint64_t size;
};
static_assert(sizeof(DirtyBitmapBody) == 16);

/// Front of the body of SET_IRQS.
struct SetIrqsBody {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t start;
  uint32_t count;
};
static_assert(sizeof(SetIrqsBody) == 20);

/// Front of the body of REGION_READ, REGION_WRITE and their replies.
struct RegionBody {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
};
static_assert(sizeof(RegionBody) == 16);

/// One write of REGION_WRITE_MULTI, behind their number (64 bits).
struct RegionWriteEntry {
  uint64_t offset;
  uint32_t region;
  uint32_t count;
  uint8_t data[8];
};
static_assert(sizeof(RegionWriteEntry) == 24);

/// Front of the body of DMA_READ, DMA_WRITE and their replies.
struct DmaBody {
  uint64_t address;
  uint64_t count;
};
static_assert(sizeof(DmaBody) == 16);

/// Largest transfer of one message that we accept and send, bytes (max_data_xfer_size).
inline constexpr uint32_t kMaxTransfer = 1024 * 1024;
/// Largest message: the transfer, its 16 bytes of address, and the header.
inline constexpr uint32_t kMaxMessage = kMaxTransfer + 32;
/// Largest message before the version is agreed: only VERSION is legal, and that is a short text.
inline constexpr uint32_t kMaxFirstMessage = 16 * 1024;
/// Fds of one message that clients are told they may send (max_msg_fds). QEMU refuses a server that says more.
inline constexpr uint32_t kMaxMessageFds = 16;
/// Fds of one message that we take: as many as Linux delivers with one (SCM_MAX_FD). Cloud Hypervisor sends the
/// eventfds of all its vectors at once, without looking at max_msg_fds.
inline constexpr uint32_t kMostMessageFds = 253;

/// A wire structure at the start of `bytes`, which must be long enough; messages are not aligned.
template <typename T>
T decode(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <typename T>
std::span<const std::byte> encoded(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace mdev::vfio_user
