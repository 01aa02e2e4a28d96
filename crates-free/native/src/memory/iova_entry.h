// One DMA map, as readers find it.
#pragma once

#include <cassert>
#include <cstdint>

namespace mdev {

class MemoryFile;

/// The IOVA interval [first, last], both ends included, so that it can end at 2^64 - 1, and what is behind it. Half a
/// cache line.
class IovaEntry {
 public:
  uint64_t first;
  uint64_t last;
  /// Null when the memory is reached by message. Not owned.
  MemoryFile* file;

  /// Of arbitrary content.
  IovaEntry() = default;
  /// `offset` in the file, bytes, is a multiple of 4096 (0 without a file); `rights` are below 1024.
  IovaEntry(uint64_t firstAddress, uint64_t lastAddress, uint64_t offset, MemoryFile* memory, uint32_t rights)
      : first(firstAddress), last(lastAddress), file(memory), offsetAndRights_(offset | rights) {
    assert((offset & kRights) == 0 && (rights & ~kRights) == 0);
  }

  bool contains(uint64_t address) const { return address - first <= last - first; }
  /// Offset of `first` in the file, bytes.
  uint64_t offset() const { return offsetAndRights_ & ~kRights; }
  /// What an access may do now: nothing while the map has no memory.
  uint32_t rights() const { return static_cast<uint32_t>(offsetAndRights_ & kRights) & (kLeastKept - 1); }
  /// What the map was made with, whether it has memory or not.
  uint32_t mapRights() const { return rights() | static_cast<uint32_t>(offsetAndRights_ & kRights) / kLeastKept; }
  /// False: the file is gone, and the map waits for another.
  bool valid() const { return rights() != 0; }
  /// The same map without its memory; its rights are below 4.
  IovaEntry withoutMemory() const { return {first, last, 0, nullptr, rights() * kLeastKept}; }

 private:
  static constexpr uint64_t kRights = 4095;
  /// Rights that are only kept lie above those in force.
  static constexpr uint32_t kLeastKept = 1024;
  uint64_t offsetAndRights_;
};

static_assert(sizeof(IovaEntry) == 32);

}  // namespace mdev
