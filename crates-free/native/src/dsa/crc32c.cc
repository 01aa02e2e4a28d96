#include "dsa/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define MDEV_CRC32C_HARDWARE 1
#endif

namespace mdev::dsa {
namespace {

constexpr uint32_t kReflectedPolynomial = 0x82f63b78;

using Table = std::array<uint32_t, 256>;

/// kTables[k][b]: register after byte b and k more zero bytes.
constexpr std::array<Table, 8> kTables = [] {
  std::array<Table, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t reg = byte;
    for (int bit = 0; bit < 8; ++bit) reg = reg >> 1 ^ ((reg & 1) != 0 ? kReflectedPolynomial : 0);
    tables[0][byte] = reg;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}();

/// Each byte's bits in opposite order.
constexpr uint64_t reverseBitsOfBytes(uint64_t value) {
  value = (value >> 1 & 0x5555555555555555) | (value & 0x5555555555555555) << 1;
  value = (value >> 2 & 0x3333333333333333) | (value & 0x3333333333333333) << 2;
  return (value >> 4 & 0x0f0f0f0f0f0f0f0f) | (value & 0x0f0f0f0f0f0f0f0f) << 4;
}

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

uint32_t byteByTable(uint32_t reg, uint64_t value) { return reg >> 8 ^ kTables[0][(reg ^ value) & 0xff]; }

uint32_t wordByTable(uint32_t reg, uint64_t value) {
  value ^= reg;
  uint32_t next = 0;
  for (std::size_t k = 0; k < 8; ++k) next ^= kTables[7 - k][value >> (8 * k) & 0xff];
  return next;
}

template <DataBits bits, bool copy>
uint32_t feedByTable(uint32_t reg, std::byte* destination, const std::byte* source, std::size_t size) {
  std::size_t at = 0;
  for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    reg = wordByTable(reg, take<uint64_t, bits, copy>(destination, source, at));
  }
  for (; at < size; ++at) reg = byteByTable(reg, take<uint8_t, bits, copy>(destination, source, at));
  return reg;
}

#ifdef MDEV_CRC32C_HARDWARE

/// Bytes of one of three streams that are fed side by side: the instruction has a latency of three and a throughput of
/// one.
constexpr std::size_t kStream = 1024;

/// The register after kStream zero bytes, by each of its four bytes.
const std::array<Table, 4>& streamShift() {
  static const std::array<Table, 4> shift = [] {
    std::array<Table, 4> tables{};
    for (std::size_t part = 0; part < 4; ++part) {
      for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t reg = byte << (8 * part);
        for (std::size_t word = 0; word < kStream / sizeof(uint64_t); ++word) reg = wordByTable(reg, 0);
        tables[part][byte] = reg;
      }
    }
    return tables;
  }();
  return shift;
}

uint32_t shiftStream(const std::array<Table, 4>& shift, uint32_t reg) {
  return shift[0][reg & 0xff] ^ shift[1][reg >> 8 & 0xff] ^ shift[2][reg >> 16 & 0xff] ^ shift[3][reg >> 24];
}

template <DataBits bits, bool copy>
[[gnu::target("sse4.2")]] uint32_t feedBySse42(uint32_t reg, std::byte* destination, const std::byte* source,
                                               std::size_t size) {
  const std::array<Table, 4>& shift = streamShift();
  std::size_t at = 0;
  for (; size - at >= 3 * kStream; at += 3 * kStream) {
    uint64_t first = reg;
    uint64_t second = 0;
    uint64_t third = 0;
    for (std::size_t one = at; one < at + kStream; one += sizeof(uint64_t)) {
      const std::size_t two = one + kStream;
      const std::size_t three = two + kStream;
      first = _mm_crc32_u64(first, take<uint64_t, bits, copy>(destination, source, one));
      second = _mm_crc32_u64(second, take<uint64_t, bits, copy>(destination, source, two));
      third = _mm_crc32_u64(third, take<uint64_t, bits, copy>(destination, source, three));
    }
    reg = shiftStream(shift, static_cast<uint32_t>(first)) ^ static_cast<uint32_t>(second);
    reg = shiftStream(shift, reg) ^ static_cast<uint32_t>(third);
  }
  for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
    reg = static_cast<uint32_t>(_mm_crc32_u64(reg, take<uint64_t, bits, copy>(destination, source, at)));
  }
  for (; at < size; ++at) {
    reg = _mm_crc32_u8(reg, static_cast<uint8_t>(take<uint8_t, bits, copy>(destination, source, at)));
  }
  return reg;
}

bool haveSse42() {
  static const bool have = __builtin_cpu_supports("sse4.2") != 0;
  return have;
}

#endif

template <bool copy>
uint32_t dispatch(uint32_t reg, std::byte* destination, const std::byte* source, std::size_t size, DataBits bits) {
#ifdef MDEV_CRC32C_HARDWARE
  if (haveSse42()) {
    return bits == DataBits::reflected ? feedBySse42<DataBits::reflected, copy>(reg, destination, source, size)
                                       : feedBySse42<DataBits::straight, copy>(reg, destination, source, size);
  }
#endif
  return bits == DataBits::reflected ? feedByTable<DataBits::reflected, copy>(reg, destination, source, size)
                                     : feedByTable<DataBits::straight, copy>(reg, destination, source, size);
}

}  // namespace

uint32_t crc32c(uint32_t reg, const std::byte* data, std::size_t size, DataBits bits) {
  return dispatch<false>(reg, nullptr, data, size, bits);
}

uint32_t crc32cCopy(uint32_t reg, std::byte* destination, const std::byte* source, std::size_t size, DataBits bits) {
  return dispatch<true>(reg, destination, source, size, bits);
}

uint32_t crc32cPortable(uint32_t reg, const std::byte* data, std::size_t size, DataBits bits) {
  return bits == DataBits::reflected ? feedByTable<DataBits::reflected, false>(reg, nullptr, data, size)
                                     : feedByTable<DataBits::straight, false>(reg, nullptr, data, size);
}

}  // namespace mdev::dsa
