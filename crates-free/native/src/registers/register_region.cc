#include "registers/register_region.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <stdexcept>

namespace mdev {

namespace {

/// Bits of the first `bytes` bytes, 1 to 8.
uint64_t lowBytes(std::size_t bytes) { return ~uint64_t{0} >> (64 - 8 * bytes); }

// Copies of a constant size are one instruction; the switch keeps the size constant.
uint64_t load(const std::byte* from, std::size_t size) {
  const auto as = [from]<typename T>(T value) -> uint64_t {
    std::memcpy(&value, from, sizeof(T));
    return value;
  };
  switch (size) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    case 4:
      return as(uint32_t{});
    case 8:
      return as(uint64_t{});
    default: {
      uint64_t value = 0;
      std::memcpy(&value, from, size);
      return value;
    }
  }
}

void store(std::byte* to, std::size_t size, uint64_t value) {
  const auto as = [to](auto narrowed) { std::memcpy(to, &narrowed, sizeof(narrowed)); };
  switch (size) {
    case 1:
      return as(static_cast<uint8_t>(value));
    case 2:
      return as(static_cast<uint16_t>(value));
    case 4:
      return as(static_cast<uint32_t>(value));
    case 8:
      return as(value);
    default:
      std::memcpy(to, &value, size);
  }
}

/// What a write makes of `value` (the access types, in their order).
uint64_t applyWrite(const RegisterEntry& entry, uint64_t value, uint64_t data, uint64_t lanes) {
  const uint64_t replaced = entry.write & lanes;
  value = (value & ~replaced) | (data & replaced);
  value &= ~(data & entry.w1c & lanes);
  value |= data & entry.w1s & lanes;
  value &= ~(~data & entry.w0c & lanes);
  return value;
}

template <typename T>
uint64_t readShared(std::atomic_ref<T> word, uint64_t clear) {
  return clear == 0 ? word.load(std::memory_order_acquire)
                    : word.fetch_and(static_cast<T>(~clear), std::memory_order_acq_rel);
}

// Engines change other bits of the word meanwhile: whatever they set stays set unless this write clears it.
template <typename T>
void writeShared(std::atomic_ref<T> word, const RegisterEntry& entry, uint64_t data, uint64_t lanes) {
  T value = word.load(std::memory_order_relaxed);
  while (!word.compare_exchange_weak(value, static_cast<T>(applyWrite(entry, value, data, lanes)),
                                     std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
}

struct StagingSlot {
  uint64_t data;
  uint64_t mask;
};

}  // namespace

RegisterRegion::RegisterRegion(std::shared_ptr<const RegisterTable> table, std::shared_ptr<RegisterMemory> memory)
    : table_(std::move(table)), memory_(std::move(memory)) {
  if (memory_->size() < table_->memorySize()) {
    throw std::invalid_argument("register region: memory smaller than the table asks for");
  }
}

Served RegisterRegion::read(uint64_t offset, std::span<std::byte> data) {
  const uint16_t* page = table_->page(offset);
  if (page == nullptr) {
    std::memset(data.data(), 0, data.size());
    return Served::done;
  }
  // One whole register: nearly every access.
  if (const uint16_t slot = page[offset % kAccessPage]; slot != 0) {
    const RegisterEntry& entry = table_->entry(slot - 1);
    if (entry.offset == offset && entry.size == data.size()) {
      if ((entry.flags & RegisterEntry::trapRead) != 0) return Served::trap;
      store(data.data(), entry.size, readRegister(entry, lowBytes(entry.size)));
      return Served::done;
    }
  }
  if (touchesTrap(page, offset, data.size(), RegisterEntry::trapRead)) return Served::trap;
  for (std::size_t at = 0; at < data.size();) {
    const uint16_t slot = page[(offset + at) % kAccessPage];
    if (slot == 0) {
      data[at++] = std::byte{0};
      continue;
    }
    const RegisterEntry& entry = table_->entry(slot - 1);
    const std::size_t first = offset + at - entry.offset;
    const std::size_t carried = std::min(entry.size - first, data.size() - at);
    const uint64_t value = readRegister(entry, lowBytes(carried) << (8 * first));
    store(&data[at], carried, value >> (8 * first));
    at += carried;
  }
  return Served::done;
}

Served RegisterRegion::write(uint64_t offset, std::span<const std::byte> data, const Arrival&) {
  const uint16_t* page = table_->page(offset);
  if (page == nullptr) return Served::done;
  if (const uint16_t slot = page[offset % kAccessPage]; slot != 0) {
    const RegisterEntry& entry = table_->entry(slot - 1);
    if (entry.offset == offset && entry.size == data.size()) {
      if ((entry.flags & RegisterEntry::trapWrite) != 0) return Served::trap;
      writeRegister(entry, load(data.data(), entry.size), lowBytes(entry.size), entry.size);
      return Served::done;
    }
  }
  if (touchesTrap(page, offset, data.size(), RegisterEntry::trapWrite)) return Served::trap;
  for (std::size_t at = 0; at < data.size();) {
    const uint16_t slot = page[(offset + at) % kAccessPage];
    if (slot == 0) {
      ++at;
      continue;
    }
    const RegisterEntry& entry = table_->entry(slot - 1);
    const std::size_t first = offset + at - entry.offset;
    const std::size_t carried = std::min(entry.size - first, data.size() - at);
    writeRegister(entry, load(&data[at], carried) << (8 * first), lowBytes(carried) << (8 * first), carried);
    at += carried;
  }
  return Served::done;
}

// An access goes to JavaScript whole or not at all, so this looks at all of it before anything happens.
bool RegisterRegion::touchesTrap(const uint16_t* page, uint64_t offset, std::size_t size, uint8_t trap) const {
  for (std::size_t at = 0; at < size;) {
    const uint16_t slot = page[(offset + at) % kAccessPage];
    if (slot == 0) {
      ++at;
      continue;
    }
    const RegisterEntry& entry = table_->entry(slot - 1);
    if ((entry.flags & trap) != 0) return true;
    at = entry.offset + entry.size - offset;
  }
  return false;
}

uint64_t RegisterRegion::readRegister(const RegisterEntry& entry, uint64_t lanes) {
  const uint64_t clear = entry.rc & lanes;
  if ((entry.flags & RegisterEntry::shared) != 0) {
    const uint64_t value = entry.size == 4 ? readShared(memory_->word32(entry.offset), clear)
                                           : readShared(memory_->word64(entry.offset), clear);
    return value & entry.read;
  }
  std::byte* storage = memory_->data() + entry.offset;
  const uint64_t value = load(storage, entry.size);
  if (clear != 0) store(storage, entry.size, value & ~clear);
  return value & entry.read;
}

void RegisterRegion::writeRegister(const RegisterEntry& entry, uint64_t data, uint64_t lanes, std::size_t carried) {
  if (entry.widths != 0 && !(std::has_single_bit(carried) && (entry.widths & carried) != 0)) {
    ++counters_.dropped;
    return;
  }
  if ((entry.flags & RegisterEntry::commitLast) != 0 && !stage(entry, data, lanes)) return;
  if (entry.ruleCount != 0) {
    lanes &= ~frozenBits(entry);
    if (lanes == 0) {
      ++counters_.frozen;
      return;
    }
  }
  if ((entry.flags & RegisterEntry::shared) != 0) {
    if (entry.size == 4) {
      writeShared(memory_->word32(entry.offset), entry, data, lanes);
    } else {
      writeShared(memory_->word64(entry.offset), entry, data, lanes);
    }
    return;
  }
  std::byte* storage = memory_->data() + entry.offset;
  store(storage, entry.size, applyWrite(entry, load(storage, entry.size), data, lanes));
}

/// Adds a piece to what waits for the register's last byte. True when it is complete: `data` and `lanes` are the whole
/// then.
bool RegisterRegion::stage(const RegisterEntry& entry, uint64_t& data, uint64_t& lanes) {
  std::byte* at = memory_->data() + table_->stageOffset() + std::size_t{entry.stageIndex} * sizeof(StagingSlot);
  StagingSlot slot;
  std::memcpy(&slot, at, sizeof(slot));
  slot.data = (slot.data & ~lanes) | (data & lanes);
  slot.mask |= lanes;
  const bool complete = (lanes >> (8 * entry.size - 1) & 1) != 0;
  if (complete) {
    data = slot.data;
    lanes = slot.mask;
    slot = {};
  }
  std::memcpy(at, &slot, sizeof(slot));
  return complete;
}

// Lock words are set by engines too (a queue that a command disables).
uint64_t RegisterRegion::frozenBits(const RegisterEntry& entry) const {
  uint64_t frozen = 0;
  for (const LockRule& rule : table_->rules(entry)) {
    const std::size_t word = table_->lockOffset() + std::size_t{rule.word} * sizeof(uint32_t);
    if ((memory_->word32(word).load(std::memory_order_acquire) & rule.mask) != 0) frozen |= rule.bits;
  }
  return frozen;
}

}  // namespace mdev
