#include "engine/shared_registers.h"

#include <stdexcept>
#include <string>

#include "registers/register_table.h"

namespace mdev {
namespace {

constexpr uint64_t kIndexPage = 4096;

/// Whether all bytes are of one shared register.
bool isShared(const RegisterTable& table, uint64_t offset, uint64_t size) {
  const uint16_t* const page = table.page(offset);
  const uint16_t place = page == nullptr ? 0 : page[offset % kIndexPage];
  if (place == 0) return false;
  const RegisterEntry& entry = table.entry(place - 1u);
  return (entry.flags & RegisterEntry::shared) != 0 && offset + size <= uint64_t{entry.offset} + entry.size;
}

void requireWord(const QueueDeviceOptions& options, uint64_t offset, uint64_t size, const char* name) {
  const std::size_t end = options.registers->size();
  const auto refuse = [&](const std::string& expected) {
    throw std::invalid_argument(std::string(name) + " at offset " + std::to_string(offset) + ": expected " + expected);
  };
  if (offset % size != 0 || offset >= end || end - offset < size) {
    refuse("a multiple of " + std::to_string(size) + " inside the region's " + std::to_string(end) + " bytes");
  }
  if (options.table != nullptr && !isShared(*options.table, offset, size)) {
    refuse("a register of " + std::to_string(8 * size) + " bits or more that is declared shared");
  }
}

void requireArray(const QueueDeviceOptions& options, const RegisterArray& array, uint32_t count, const char* name) {
  for (uint64_t index = 0; index < count; ++index) {
    requireWord(options, array.offset + index * array.stride, sizeof(uint32_t), name);
  }
}

}  // namespace

bool isChangedByEngines(const RegisterTable& table, uint32_t offset) {
  const bool isLock = offset >= table.blockSize() && offset >= table.lockOffset() && offset < table.stageOffset();
  return isLock || isShared(table, offset, sizeof(uint32_t));
}

void requireSharedRegisters(const QueueDeviceOptions& options) {
  const RegisterOffsets& offsets = options.offsets;
  for (uint32_t word = 0; word < 4; ++word) {
    requireWord(options, uint64_t{offsets.softwareError} + word * sizeof(uint64_t), sizeof(uint64_t),
                "registers.softwareError");
  }
  requireWord(options, offsets.interruptCause, sizeof(uint32_t), "registers.interruptCause");
  requireWord(options, offsets.generalControl, sizeof(uint32_t), "registers.generalControl");
  if (offsets.eventLogStatus) {
    requireWord(options, *offsets.eventLogStatus, sizeof(uint64_t), "registers.eventLogStatus");
  }
  requireArray(options, offsets.workQueueStatus, options.queues, "registers.workQueueStatus");
  requireArray(options, offsets.msixPermissions, options.handles, "registers.msixPermissions");
}

}  // namespace mdev
