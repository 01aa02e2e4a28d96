// The 64 bytes of a descriptor. DSA specification 8.1.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mdev::dsa {

static_assert(std::endian::native == std::endian::little, "descriptors and records are little-endian");

inline constexpr std::size_t kDescriptorSize = 64;

/// A private copy of a descriptor: the guest cannot change it while it is looked at.
struct Descriptor {
  alignas(8) std::array<std::byte, kDescriptorSize> bytes;

  template <typename T>
  T at(std::size_t offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }

  /// What ENQCMD puts there: 20 bits, and whether the submitter is privileged. Of no meaning in a dedicated queue.
  uint32_t pasid() const { return at<uint32_t>(0) & 0xfffff; }
  bool privileged() const { return at<uint32_t>(0) >> 31 != 0; }
  uint32_t flags() const { return at<uint32_t>(4) & 0xffffff; }
  uint8_t opcode() const { return at<uint8_t>(7); }
  uint64_t completionAddress() const { return at<uint64_t>(8); }
  /// Source, first source, descriptor list or pattern.
  uint64_t address1() const { return at<uint64_t>(16); }
  /// Destination, first destination or second source.
  uint64_t address2() const { return at<uint64_t>(24); }
  /// Transfer size in bytes, or the number of descriptors of a batch.
  uint32_t size() const { return at<uint32_t>(32); }
  uint16_t interruptHandle() const { return at<uint16_t>(36); }

  bool has(uint32_t flag) const { return (flags() & flag) != 0; }
};

}  // namespace mdev::dsa
