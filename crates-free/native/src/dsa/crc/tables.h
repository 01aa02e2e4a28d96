// Checksums by tables, eight bytes at a time: what every processor can do.
#pragma once

#include <array>
#include <cstring>

#include "dsa/crc/crc.h"

namespace mdev::dsa::detail {

/// Reads a unit of the source once, copies it if asked to, and returns what goes into the register.
template <typename T, DataBits bits, bool copy>
inline uint64_t take(std::byte* destination, const std::byte* source, std::size_t at) {
  T value;
  std::memcpy(&value, source + at, sizeof value);
  if constexpr (copy) {
    // The compiler must not read the guest's memory a second time for one of the two uses.
    asm volatile("" : "+r"(value));
    std::memcpy(destination + at, &value, sizeof value);
  }
  return bits == DataBits::straight ? reverseBitsOfBytes(value) : value;
}

template <typename Kind>
class Tables {
 public:
  using Register = typename Kind::Register;

  static Register byte(Register reg, uint64_t value) {
    return static_cast<Register>(reg >> 8 ^ kTables[0][(reg ^ value) & 0xff]);
  }
  static Register word(Register reg, uint64_t value) {
    value ^= reg;
    Register next = 0;
    for (std::size_t k = 0; k < 8; ++k) next ^= kTables[7 - k][value >> (8 * k) & 0xff];
    return next;
  }

 private:
  static_assert(sizeof(Register) <= sizeof(uint64_t));

  /// kTables[k][b]: register after byte b and k more zero bytes.
  static constexpr std::array<std::array<Register, 256>, 8> kTables = [] {
    constexpr Register kReflected = reverseBits(Kind::kPolynomial);
    std::array<std::array<Register, 256>, 8> tables{};
    for (std::size_t byte = 0; byte < 256; ++byte) {
      auto reg = static_cast<Register>(byte);
      for (int bit = 0; bit < 8; ++bit) reg = static_cast<Register>(reg >> 1 ^ ((reg & 1) != 0 ? kReflected : 0));
      tables[0][byte] = reg;
    }
    for (std::size_t k = 1; k < 8; ++k) {
      for (std::size_t byte = 0; byte < 256; ++byte) {
        const Register before = tables[k - 1][byte];
        tables[k][byte] = static_cast<Register>(before >> 8 ^ tables[0][before & 0xff]);
      }
    }
    return tables;
  }();
};

template <typename Kind, DataBits bits, bool copy>
typename Kind::Register feedByTable(typename Kind::Register reg, std::byte* destination, const std::byte* source,
                                    std::size_t size) {
  std::size_t at = 0;
  for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    reg = Tables<Kind>::word(reg, take<uint64_t, bits, copy>(destination, source, at));
  }
  for (; at < size; ++at) reg = Tables<Kind>::byte(reg, take<uint8_t, bits, copy>(destination, source, at));
  return reg;
}

}  // namespace mdev::dsa::detail
