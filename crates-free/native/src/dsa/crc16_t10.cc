#include "dsa/crc16_t10.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define MDEV_CRC16_T10_HARDWARE 1
#endif

namespace mdev::dsa {
namespace {

constexpr uint16_t kPolynomial = 0x8bb7;

using Table = std::array<uint16_t, 256>;

/// kTables[k][b]: register after byte b and k more zero bytes.
constexpr std::array<Table, 8> kTables = [] {
  std::array<Table, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t reg = byte << 8;
    for (int bit = 0; bit < 8; ++bit) reg = (reg << 1 ^ ((reg & 0x8000) != 0 ? kPolynomial : 0)) & 0xffff;
    tables[0][byte] = static_cast<uint16_t>(reg);
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = static_cast<uint16_t>((before << 8 & 0xffff) ^ tables[0][before >> 8]);
    }
  }
  return tables;
}();

#ifdef MDEV_CRC16_T10_HARDWARE

/// x to the power of `exponent`, modulo the polynomial.
constexpr uint64_t power(unsigned exponent) {
  uint32_t value = 1;
  for (unsigned i = 0; i < exponent; ++i) value = (value << 1 ^ ((value & 0x8000) != 0 ? kPolynomial : 0)) & 0xffff;
  return value;
}

/// Bytes that are folded side by side.
constexpr std::size_t kStride = 64;

/// `value`, `Bits` bits further up, modulo the polynomial: 128 bits that leave the same remainder.
template <unsigned Bits>
[[gnu::target("pclmul,ssse3")]] inline __m128i fold(__m128i value) {
  const __m128i by = _mm_set_epi64x(power(Bits + 64), power(Bits));
  return _mm_xor_si128(_mm_clmulepi64_si128(value, by, 0x11), _mm_clmulepi64_si128(value, by, 0x00));
}

/// 16 bytes, the first the highest.
[[gnu::target("pclmul,ssse3")]] inline __m128i load(const std::byte* from) {
  const __m128i backwards = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), backwards);
}

/// `size` is a multiple of 16, and at least kStride.
[[gnu::target("pclmul,ssse3")]] uint16_t feedByMultiplying(uint16_t reg, const std::byte* data, std::size_t size) {
  __m128i a = _mm_xor_si128(load(data), _mm_set_epi64x(static_cast<int64_t>(uint64_t{reg} << 48), 0));
  __m128i b = load(data + 16);
  __m128i c = load(data + 32);
  __m128i d = load(data + 48);
  std::size_t at = kStride;
  for (; size - at >= kStride; at += kStride) {
    a = _mm_xor_si128(fold<8 * kStride>(a), load(data + at));
    b = _mm_xor_si128(fold<8 * kStride>(b), load(data + at + 16));
    c = _mm_xor_si128(fold<8 * kStride>(c), load(data + at + 32));
    d = _mm_xor_si128(fold<8 * kStride>(d), load(data + at + 48));
  }
  b = _mm_xor_si128(b, fold<128>(a));
  c = _mm_xor_si128(c, fold<128>(b));
  d = _mm_xor_si128(d, fold<128>(c));
  for (; at < size; at += 16) d = _mm_xor_si128(fold<128>(d), load(data + at));
  // The remainder of 16 bytes, which are what they are to a register of 0.
  std::array<std::byte, 16> last;
  const __m128i backwards = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(last.data()), _mm_shuffle_epi8(d, backwards));
  return crc16T10Portable(0, last.data(), last.size());
}

bool haveMultiply() {
  static const bool have = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("ssse3") != 0;
  return have;
}

#endif

}  // namespace

uint16_t crc16T10(uint16_t reg, const std::byte* data, std::size_t size) {
#ifdef MDEV_CRC16_T10_HARDWARE
  if (size >= kStride && haveMultiply()) {
    const std::size_t whole = size / 16 * 16;
    reg = feedByMultiplying(reg, data, whole);
    data += whole;
    size -= whole;
  }
#endif
  return crc16T10Portable(reg, data, size);
}

uint16_t crc16T10Portable(uint16_t reg, const std::byte* data, std::size_t size) {
  uint32_t state = reg;
  std::size_t at = 0;
  for (; size - at >= 8; at += 8) {
    std::array<uint8_t, 8> bytes;
    std::memcpy(bytes.data(), data + at, bytes.size());
    state = kTables[7][bytes[0] ^ state >> 8] ^ kTables[6][bytes[1] ^ (state & 0xff)] ^ kTables[5][bytes[2]] ^
            kTables[4][bytes[3]] ^ kTables[3][bytes[4]] ^ kTables[2][bytes[5]] ^ kTables[1][bytes[6]] ^
            kTables[0][bytes[7]];
  }
  for (; at < size; ++at) {
    state = (state << 8 & 0xffff) ^ kTables[0][state >> 8 ^ static_cast<uint8_t>(data[at])];
  }
  return static_cast<uint16_t>(state);
}

}  // namespace mdev::dsa
