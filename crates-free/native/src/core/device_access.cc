// Accesses to a DeviceCore's regions, and the way to whoever answers what C++ does not.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/device_core.h"

namespace mdev {

namespace {

/// Length of the piece of [offset, offset + size) before the next 4 KiB boundary.
std::size_t pieceLength(uint64_t offset, std::size_t size) {
  return static_cast<std::size_t>(std::min<uint64_t>(kAccessPage - offset % kAccessPage, size));
}

/// Whether VGA has something there: its frame buffer, or its ports (as vfio-pci).
bool inVgaWindow(uint64_t offset, uint64_t size) {
  constexpr RegionArea kWindows[] = {{0xa0000, 0x20000}, {0x3b0, 0xc}, {0x3c0, 0x20}};
  return std::any_of(std::begin(kWindows), std::end(kWindows), [&](const RegionArea& window) {
    return offset >= window.offset && offset - window.offset <= window.size &&
           size <= window.size - (offset - window.offset);
  });
}

}  // namespace

int DeviceCore::read(uint32_t region, uint64_t offset, std::span<std::byte> data) {
  if (const int error = check(region, offset, data.size(), kRegionRead); error != 0) return refuse(error);
  DeviceStatistics::count(statistics_.reads);
  while (!data.empty()) {
    const auto piece = data.first(pieceLength(offset, data.size()));
    data = data.subspan(piece.size());
    RegionPort* port = regions_[region].portAt(offset);
    if (port == nullptr || isolated_) {
      std::memset(piece.data(), 0xff, piece.size());
    } else if (port->read(offset, piece) == Served::trap) {
      if (const int error = trap(region, offset, piece, {}, false); error != 0) return error;
      if (data.empty()) return 0;
      // The hook may have taken the region away, or switched its decode off.
      if (const int error = check(region, offset + piece.size(), data.size(), kRegionRead); error != 0) {
        return refuse(error);
      }
    }
    offset += piece.size();
  }
  return 0;
}

int DeviceCore::write(uint32_t region, uint64_t offset, std::span<const std::byte> data, bool posted) {
  const int error = post(region, offset, data, {data.size(), posted});
  flush();
  return error;
}

void DeviceCore::flush() {
  for (uint32_t ports = std::exchange(posted_, 0); ports != 0; ports &= ports - 1) {
    regions_[static_cast<std::size_t>(std::countr_zero(ports))].port->flush();
  }
}

int DeviceCore::post(uint32_t region, uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) {
  if (const int error = check(region, offset, data.size(), kRegionWrite); error != 0) return refuse(error);
  DeviceStatistics::count(statistics_.writes);
  while (!data.empty()) {
    const auto piece = data.first(pieceLength(offset, data.size()));
    data = data.subspan(piece.size());
    RegionPort* port = regions_[region].portAt(offset);
    if (port == nullptr || isolated_) {
      DeviceStatistics::count(statistics_.droppedWrites);
    } else if (const Served served = port->write(offset, piece, arrival); served != Served::done) {
      // No error: the device is well, and whoever asked is to ask again.
      if (served == Served::retry) return EAGAIN;
      if (const int error = trap(region, offset, {}, piece, true); error != 0) return error;
      if (data.empty()) return 0;
      if (const int error = check(region, offset + piece.size(), data.size(), kRegionWrite); error != 0) {
        return refuse(error);
      }
    } else if (port == regions_[region].port.get()) {
      posted_ |= uint32_t{1} << region;
    }
    offset += piece.size();
  }
  return 0;
}

int DeviceCore::check(uint32_t region, uint64_t offset, uint64_t size, uint32_t right) const {
  if (region >= kRegionsMax) return EINVAL;
  const Region& target = regions_[region];
  if ((target.flags & right) == 0 || offset > target.size || size > target.size - offset) return EINVAL;
  if (region == kRegionVga && !inVgaWindow(offset, size)) return EINVAL;
  if (enforceMemoryDecode_ && !decodes(target.decode)) return EIO;
  return 0;
}

bool DeviceCore::decodes(RegionDecode decode) const {
  switch (decode) {
    case RegionDecode::memory:
      return memoryDecode_;
    case RegionDecode::io:
      return ioDecode_;
    case RegionDecode::rom:
      return romDecode_;
    default:
      return true;
  }
}

int DeviceCore::refuse(int error) {
  DeviceStatistics::count(statistics_.refused);
  return error;
}

int DeviceCore::trap(uint32_t region, uint64_t offset, std::span<std::byte> into, std::span<const std::byte> from,
                     bool write) {
  DeviceStatistics::count(statistics_.traps);
  if (trap_ == nullptr) return refuse(EIO);
  if (trapDepth_ == kTrapDepth) return refuse(EBUSY);
  flush();
  const auto mailbox = std::span<std::byte>((*mailbox_)[trapDepth_]).first(write ? from.size() : into.size());
  if (write) {
    std::memcpy(mailbox.data(), from.data(), from.size());
  } else {
    std::memset(mailbox.data(), 0, mailbox.size());
  }
  ++trapDepth_;
  const int error = trap_->access(region, offset, mailbox, write);
  --trapDepth_;
  if (error != 0) return refuse(error);
  if (!write) std::memcpy(into.data(), mailbox.data(), into.size());
  return 0;
}

int DeviceCore::reset() {
  if (trap_ == nullptr) return refuse(EIO);
  if (trapDepth_ == kTrapDepth) return refuse(EBUSY);
  flush();
  ++trapDepth_;
  const int error = trap_->reset();
  --trapDepth_;
  return error == 0 ? 0 : refuse(error);
}

}  // namespace mdev
