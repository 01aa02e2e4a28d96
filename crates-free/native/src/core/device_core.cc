#include "core/device_core.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

namespace mdev {

namespace {

/// Length of the piece of [offset, offset + size) before the next 4 KiB boundary.
std::size_t pieceLength(uint64_t offset, std::size_t size) {
  return static_cast<std::size_t>(std::min<uint64_t>(kAccessPage - offset % kAccessPage, size));
}

RegionDecode decodeOf(uint32_t index) { return index < kPciBars ? RegionDecode::memory : RegionDecode::always; }

/// Whether VGA has something there: its frame buffer, or its ports (as vfio-pci).
bool inVgaWindow(uint64_t offset, uint64_t size) {
  constexpr RegionArea kWindows[] = {{0xa0000, 0x20000}, {0x3b0, 0xc}, {0x3c0, 0x20}};
  return std::any_of(std::begin(kWindows), std::end(kWindows), [&](const RegionArea& window) {
    return offset >= window.offset && offset - window.offset <= window.size &&
           size <= window.size - (offset - window.offset);
  });
}

}  // namespace

DeviceCore::DeviceCore() : dma_(std::make_shared<DmaSpace>()), mailbox_(std::make_shared<TrapMailbox>()) {}

DeviceCore::~DeviceCore() = default;

void DeviceCore::checkRegion(uint32_t index, uint32_t flags) const {
  if (index >= kRegionsMax) {
    throw std::invalid_argument("region index is " + std::to_string(index) + "; expected 0 to " +
                                std::to_string(kRegionsMax - 1));
  }
  if ((flags & ~(kRegionRead | kRegionWrite)) != 0) {
    throw std::invalid_argument("flags of region " + std::to_string(index) + " are " + std::to_string(flags) +
                                "; expected READ (1) and WRITE (2) only");
  }
}

void DeviceCore::setRegion(uint32_t index, uint64_t size, uint32_t flags, std::shared_ptr<RegionPort> port) {
  checkRegion(index, flags);
  flush();
  regions_[index] = {size, flags, decodeOf(index), std::move(port), nullptr, nullptr};
}

void DeviceCore::setRegionPort(uint32_t index, std::shared_ptr<RegionPort> port) {
  checkRegion(index, 0);
  flush();
  regions_[index].registers = nullptr;
  regions_[index].port = std::move(port);
}

std::shared_ptr<RegisterMemory> DeviceCore::setRegisterRegion(uint32_t index, uint64_t size, uint32_t flags,
                                                              std::shared_ptr<const RegisterTable> table) {
  checkRegion(index, flags);
  if (size < table->blockSize()) {
    throw std::invalid_argument("region " + std::to_string(index) + " has " + std::to_string(size) +
                                " bytes; its register block needs " + std::to_string(table->blockSize()));
  }
  flush();
  auto memory = std::make_shared<RegisterMemory>(table->memorySize());
  auto registers = std::make_shared<RegisterRegion>(std::move(table), memory);
  regions_[index] = {size, flags, decodeOf(index), registers, registers, nullptr};
  return memory;
}

void DeviceCore::setRegisterTable(uint32_t index, std::shared_ptr<const RegisterTable> table) {
  checkRegion(index, 0);
  Region& region = regions_[index];
  if (region.registers == nullptr) {
    throw std::invalid_argument("region " + std::to_string(index) + " is not a region of registers");
  }
  auto memory = region.registers->memory();
  if (table->blockSize() != region.registers->blockSize() || table->memorySize() != memory->size()) {
    throw std::invalid_argument("the table is not of the block of region " + std::to_string(index));
  }
  flush();
  region.registers = std::make_shared<RegisterRegion>(std::move(table), std::move(memory));
  region.port = region.registers;
}

std::shared_ptr<RegionMemory> DeviceCore::setRegionMemory(uint32_t index, std::vector<RegionArea> areas) {
  checkRegion(index, 0);
  Region& region = regions_[index];
  region.memory = std::make_shared<RegionMemory>(region.size, std::move(areas), (region.flags & kRegionWrite) != 0);
  return region.memory;
}

std::shared_ptr<RegionMemory> DeviceCore::regionMemory(uint32_t index) const {
  return index < kRegionsMax ? regions_[index].memory : nullptr;
}

void DeviceCore::setRegionDecode(uint32_t index, RegionDecode decode) {
  checkRegion(index, 0);
  regions_[index].decode = decode;
}

std::shared_ptr<RegisterMemory> DeviceCore::registerMemory(uint32_t index) const {
  if (index >= kRegionsMax || regions_[index].registers == nullptr) return nullptr;
  return regions_[index].registers->memory();
}

std::size_t DeviceCore::registerBlockSize(uint32_t index) const {
  if (index >= kRegionsMax || regions_[index].registers == nullptr) return 0;
  return regions_[index].registers->blockSize();
}

uint64_t DeviceCore::regionSize(uint32_t index) const { return index < kRegionsMax ? regions_[index].size : 0; }

uint32_t DeviceCore::regionFlags(uint32_t index) const { return index < kRegionsMax ? regions_[index].flags : 0; }

void DeviceCore::setTrapHandler(TrapHandler* handler) { trap_ = handler; }

void DeviceCore::setMemoryDecode(bool enabled) { memoryDecode_ = enabled; }

void DeviceCore::setIoDecode(bool enabled) { ioDecode_ = enabled; }

void DeviceCore::setRomDecode(bool enabled) { romDecode_ = enabled; }

void DeviceCore::setEnforceMemoryDecode(bool enforced) { enforceMemoryDecode_ = enforced; }

void DeviceCore::setIsolated(bool isolated) { isolated_ = isolated; }

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

int DeviceCore::write(uint32_t region, uint64_t offset, std::span<const std::byte> data) {
  const int error = post(region, offset, data);
  flush();
  return error;
}

void DeviceCore::flush() {
  for (uint32_t ports = std::exchange(posted_, 0); ports != 0; ports &= ports - 1) {
    regions_[static_cast<std::size_t>(std::countr_zero(ports))].port->flush();
  }
}

int DeviceCore::post(uint32_t region, uint64_t offset, std::span<const std::byte> data) {
  if (const int error = check(region, offset, data.size(), kRegionWrite); error != 0) return refuse(error);
  DeviceStatistics::count(statistics_.writes);
  while (!data.empty()) {
    const auto piece = data.first(pieceLength(offset, data.size()));
    data = data.subspan(piece.size());
    RegionPort* port = regions_[region].portAt(offset);
    if (port == nullptr || isolated_) {
      DeviceStatistics::count(statistics_.droppedWrites);
    } else if (port->write(offset, piece) == Served::trap) {
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

int DeviceCore::setIrqs(const SetIrqs& request, std::vector<ForeignFd> fds) {
  const int error = closed_ ? EINVAL : interrupts_.set(request, std::move(fds));
  return error == 0 ? 0 : refuse(error);
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

uint64_t DeviceCore::clientCame(std::shared_ptr<MessageDma> channel) {
  const uint64_t client = ++client_;
  // Ends the requests of an earlier channel, which may do anything.
  dma_->setMessageDma(std::move(channel));
  return client;
}

void DeviceCore::clientGone(uint64_t client) {
  if (isClient(client)) clientGone();
}

void DeviceCore::clientGone() {
  ++client_;
  const std::shared_ptr<MessageDma> channel = dma_->takeMessageDma();
  dma_->unmapAll();
  dma_->resetClient();
  interrupts_.clientGone();
  // Last: what hears of it may let the next client in.
  if (channel != nullptr) channel->cancelAll();
}

void DeviceCore::close() {
  flush();
  closed_ = true;
  trap_ = nullptr;
  for (Region& region : regions_) region = {};
  clientGone();
}

RegisterRegion::Counters DeviceCore::registerCounters() const {
  RegisterRegion::Counters sum;
  for (const Region& region : regions_) {
    if (region.registers == nullptr) continue;
    sum.dropped += region.registers->counters().dropped;
    sum.frozen += region.registers->counters().frozen;
  }
  return sum;
}

}  // namespace mdev
