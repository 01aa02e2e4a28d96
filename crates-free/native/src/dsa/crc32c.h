// CRC-32C (polynomial 0x1EDC6F41) of bytes that may change while they are read. DSA specification, appendix A.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdev::dsa {

/// Order of a data byte's bits on their way into the checksum.
enum class DataBits : uint8_t {
  reflected,  ///< lowest first, as every common CRC-32C
  straight,   ///< highest first
};

/// Feeds `size` bytes into the register and returns its new value. The register is kept reflected: bit 0 is the highest
/// power.
uint32_t crc32c(uint32_t reg, const std::byte* data, std::size_t size, DataBits bits);

/// As crc32c, and copies the same bytes to `destination`: every byte is read once. The ranges must not overlap.
uint32_t crc32cCopy(uint32_t reg, std::byte* destination, const std::byte* source, std::size_t size, DataBits bits);

/// The portable way, whatever the processor has. For tests.
uint32_t crc32cPortable(uint32_t reg, const std::byte* data, std::size_t size, DataBits bits);

/// All bits in opposite order.
constexpr uint32_t reverseBits(uint32_t value) {
  value = (value >> 1 & 0x55555555) | (value & 0x55555555) << 1;
  value = (value >> 2 & 0x33333333) | (value & 0x33333333) << 2;
  value = (value >> 4 & 0x0f0f0f0f) | (value & 0x0f0f0f0f) << 4;
  value = (value >> 8 & 0x00ff00ff) | (value & 0x00ff00ff) << 8;
  return value >> 16 | value << 16;
}

}  // namespace mdev::dsa
