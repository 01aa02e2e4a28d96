// Which regions a DeviceCore has, and what is behind them.
#include <stdexcept>
#include <string>
#include <utility>

#include "core/device_core.h"

namespace mdev {

namespace {

RegionDecode decodeOf(uint32_t index) { return index < kPciBars ? RegionDecode::memory : RegionDecode::always; }

}  // namespace

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

std::shared_ptr<const RegisterTable> DeviceCore::registerTable(uint32_t index) const {
  if (index >= kRegionsMax || regions_[index].registers == nullptr) return nullptr;
  return regions_[index].registers->table();
}

std::size_t DeviceCore::registerBlockSize(uint32_t index) const {
  if (index >= kRegionsMax || regions_[index].registers == nullptr) return 0;
  return regions_[index].registers->blockSize();
}

uint64_t DeviceCore::regionSize(uint32_t index) const { return index < kRegionsMax ? regions_[index].size : 0; }

uint32_t DeviceCore::regionFlags(uint32_t index) const { return index < kRegionsMax ? regions_[index].flags : 0; }

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
