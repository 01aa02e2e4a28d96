// The checksums of the DSA, of bytes that may change while they are read. DSA specification, appendices A and B.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>

namespace mdev::dsa {

/// Order of a data byte's bits on their way into the checksum.
enum class DataBits : uint8_t {
  reflected,  ///< lowest first, as in every common CRC-32C
  straight,   ///< highest first
};

// What checksums there are: their registers, and their polynomials without the highest power.

/// Of the T10 data integrity field.
struct Crc16T10 {
  using Register = uint16_t;
  static constexpr Register kPolynomial = 0x8bb7;
};
/// CRC-32C, of iSCSI.
struct Crc32c {
  using Register = uint32_t;
  static constexpr Register kPolynomial = 0x1edc6f41;
};
/// Of NVMe (Rocksoft).
struct Crc64 {
  using Register = uint64_t;
  static constexpr Register kPolynomial = 0xad93d23594c93659;
};

/// Feeds `size` bytes into the register and returns its new value. The register is kept reflected: bit 0 is the highest
/// power.
template <typename Kind>
typename Kind::Register crc(typename Kind::Register reg, const std::byte* data, std::size_t size, DataBits bits);

/// As crc, and copies the same bytes to `destination`: every byte is read once. The ranges must not overlap.
template <typename Kind>
typename Kind::Register crcCopy(typename Kind::Register reg, std::byte* destination, const std::byte* source,
                                std::size_t size, DataBits bits);

/// The portable way, whatever the processor has. For tests.
template <typename Kind>
typename Kind::Register crcPortable(typename Kind::Register reg, const std::byte* data, std::size_t size,
                                    DataBits bits);

/// Each byte's bits in opposite order.
constexpr uint64_t reverseBitsOfBytes(uint64_t value) {
  value = (value >> 1 & 0x5555555555555555) | (value & 0x5555555555555555) << 1;
  value = (value >> 2 & 0x3333333333333333) | (value & 0x3333333333333333) << 2;
  return (value >> 4 & 0x0f0f0f0f0f0f0f0f) | (value & 0x0f0f0f0f0f0f0f0f) << 4;
}

/// All bits in opposite order.
template <typename T>
constexpr T reverseBits(T value) {
  constexpr unsigned kUnused = 64 - CHAR_BIT * sizeof(T);
  return static_cast<T>(__builtin_bswap64(reverseBitsOfBytes(value)) >> kUnused);
}

}  // namespace mdev::dsa
