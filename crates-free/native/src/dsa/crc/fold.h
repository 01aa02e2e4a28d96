// Checksums by carry-less multiplication: what lies far ahead is folded onto what comes later, 128 bits at a time.
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

#include "dsa/crc/tables.h"

#define MDEV_CRC_FOLD 1

namespace mdev::dsa::detail {

inline constexpr std::size_t kFoldUnit = 16;
/// Bytes that are folded side by side: four vectors of one unit, or of two.
inline constexpr std::size_t kFoldStride = 4 * kFoldUnit;
inline constexpr std::size_t kWideFoldStride = 2 * kFoldStride;

inline bool canFold() {
  static const bool can = __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("ssse3") != 0;
  return can;
}
inline bool canFoldWide() {
  static const bool can = __builtin_cpu_supports("vpclmulqdq") != 0 && __builtin_cpu_supports("avx2") != 0;
  return can;
}

/// Units are kept in the order in which their bits go into the register: reflected ones have the highest power in bit
/// 0, straight ones in bit 127.
template <typename Kind, DataBits bits, bool copy>
class Fold {
 public:
  using Register = typename Kind::Register;

  /// `size` is a multiple of kFoldUnit, and at least kFoldStride.
  [[gnu::target("pclmul,ssse3")]] static Register feed(Register reg, std::byte* destination, const std::byte* source,
                                                       std::size_t size) {
    __m128i a = _mm_xor_si128(take(destination, source, 0), start(reg));
    __m128i b = take(destination, source, kFoldUnit);
    __m128i c = take(destination, source, 2 * kFoldUnit);
    __m128i d = take(destination, source, 3 * kFoldUnit);
    std::size_t at = kFoldStride;
    for (; size - at >= kFoldStride; at += kFoldStride) {
      a = _mm_xor_si128(by<kFoldStride>(a), take(destination, source, at));
      b = _mm_xor_si128(by<kFoldStride>(b), take(destination, source, at + kFoldUnit));
      c = _mm_xor_si128(by<kFoldStride>(c), take(destination, source, at + 2 * kFoldUnit));
      d = _mm_xor_si128(by<kFoldStride>(d), take(destination, source, at + 3 * kFoldUnit));
    }
    b = _mm_xor_si128(b, by<kFoldUnit>(a));
    c = _mm_xor_si128(c, by<kFoldUnit>(b));
    d = _mm_xor_si128(d, by<kFoldUnit>(c));
    for (; at < size; at += kFoldUnit) d = _mm_xor_si128(by<kFoldUnit>(d), take(destination, source, at));
    // What is left are 16 bytes that are what they are to a register of 0.
    std::array<std::byte, kFoldUnit> last;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(last.data()), ordered(d));
    return feedByTable<Kind, bits, false>(0, nullptr, last.data(), last.size());
  }

  /// `size` is a multiple of kWideFoldStride, and not 0.
  [[gnu::target("vpclmulqdq,avx2,pclmul,ssse3")]] static Register feedWide(Register reg, std::byte* destination,
                                                                           const std::byte* source, std::size_t size) {
    constexpr std::size_t kVector = 2 * kFoldUnit;
    __m256i a = _mm256_xor_si256(takeWide(destination, source, 0),
                                 _mm256_inserti128_si256(_mm256_setzero_si256(), start(reg), 0));
    __m256i b = takeWide(destination, source, kVector);
    __m256i c = takeWide(destination, source, 2 * kVector);
    __m256i d = takeWide(destination, source, 3 * kVector);
    for (std::size_t at = kWideFoldStride; at < size; at += kWideFoldStride) {
      a = _mm256_xor_si256(byWide(a), takeWide(destination, source, at));
      b = _mm256_xor_si256(byWide(b), takeWide(destination, source, at + kVector));
      c = _mm256_xor_si256(byWide(c), takeWide(destination, source, at + 2 * kVector));
      d = _mm256_xor_si256(byWide(d), takeWide(destination, source, at + 3 * kVector));
    }
    std::array<std::byte, kWideFoldStride> last;
    std::byte* to = last.data();
    for (const __m256i vector : {a, b, c, d}) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), orderedWide(vector));
      to += kVector;
    }
    return Fold<Kind, bits, false>::feed(0, nullptr, last.data(), last.size());
  }

 private:
  static constexpr bool kReflected = bits == DataBits::reflected;

  /// x to the power of `exponent`, modulo the polynomial, as a factor: a product of reflected ones is one bit short.
  static constexpr int64_t factor(std::size_t exponent) {
    constexpr unsigned kHighest = CHAR_BIT * sizeof(Register) - 1;
    Register value = 1;
    for (std::size_t i = kReflected ? 1 : 0; i < exponent; ++i) {
      value = static_cast<Register>(value << 1 ^ ((value >> kHighest & 1) != 0 ? Kind::kPolynomial : 0));
    }
    return static_cast<int64_t>(kReflected ? reverseBits(uint64_t{value}) : uint64_t{value});
  }
  /// Of the half of a unit that comes first, and of the other, `Bytes` bytes further ahead.
  template <std::size_t Bytes>
  static constexpr int64_t kFirst = factor(8 * Bytes + 64);
  template <std::size_t Bytes>
  static constexpr int64_t kSecond = factor(8 * Bytes);

  /// `value`, `Bytes` bytes further ahead, modulo the polynomial: 128 bits that leave the same remainder.
  template <std::size_t Bytes>
  [[gnu::target("pclmul,ssse3")]] static __m128i by(__m128i value) {
    const __m128i factors =
        kReflected ? _mm_set_epi64x(kSecond<Bytes>, kFirst<Bytes>) : _mm_set_epi64x(kFirst<Bytes>, kSecond<Bytes>);
    return _mm_xor_si128(_mm_clmulepi64_si128(value, factors, 0x11), _mm_clmulepi64_si128(value, factors, 0x00));
  }
  [[gnu::target("vpclmulqdq,avx2")]] static __m256i byWide(__m256i value) {
    constexpr int64_t kAhead = kFirst<kWideFoldStride>;
    constexpr int64_t kBehind = kSecond<kWideFoldStride>;
    const __m256i factors = kReflected ? _mm256_set_epi64x(kBehind, kAhead, kBehind, kAhead)
                                       : _mm256_set_epi64x(kAhead, kBehind, kAhead, kBehind);
    return _mm256_xor_si256(_mm256_clmulepi64_epi128(value, factors, 0x11),
                            _mm256_clmulepi64_epi128(value, factors, 0x00));
  }

  /// Units as they lie in memory, in their order for the register, and back.
  [[gnu::target("ssse3")]] static __m128i ordered(__m128i value) {
    if constexpr (kReflected) return value;
    return _mm_shuffle_epi8(value, _mm_set_epi64x(kBackwardsHigh, kBackwardsLow));
  }
  [[gnu::target("avx2")]] static __m256i orderedWide(__m256i value) {
    if constexpr (kReflected) return value;
    return _mm256_shuffle_epi8(value, _mm256_set_epi64x(kBackwardsHigh, kBackwardsLow, kBackwardsHigh, kBackwardsLow));
  }
  /// The place of each byte of a unit whose bytes are in opposite order.
  static constexpr int64_t kBackwardsHigh = 0x0001020304050607;
  static constexpr int64_t kBackwardsLow = 0x08090a0b0c0d0e0f;

  /// The register, where the first of the bytes meet it.
  [[gnu::target("ssse3")]] static __m128i start(Register reg) {
    if constexpr (kReflected) return _mm_set_epi64x(0, static_cast<int64_t>(uint64_t{reg}));
    return _mm_set_epi64x(static_cast<int64_t>(reverseBits(uint64_t{reg})), 0);
  }

  /// Read units of the source once, and copy them if asked to.
  [[gnu::target("ssse3")]] static __m128i take(std::byte* destination, const std::byte* source, std::size_t at) {
    __m128i value = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + at));
    if constexpr (copy) {
      // As in the other take.
      asm volatile("" : "+x"(value));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(destination + at), value);
    }
    return ordered(value);
  }
  [[gnu::target("avx2")]] static __m256i takeWide(std::byte* destination, const std::byte* source, std::size_t at) {
    __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + at));
    if constexpr (copy) {
      asm volatile("" : "+x"(value));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(destination + at), value);
    }
    return orderedWide(value);
  }
};

}  // namespace mdev::dsa::detail

#endif
