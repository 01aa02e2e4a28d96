// sources: dsa/crc/crc.cc
// sanitize: address,undefined
//
// Checksums: every way that there is, against one bit after the other, at every length around the lengths where one way
// takes over from another.
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "dsa/crc/crc.h"
#include "dsa/crc/fold.h"
#include "dsa/crc/tables.h"

using namespace mdev;

namespace {

/// As the specification has it: the register shifts towards its highest power.
template <typename Kind>
typename Kind::Register bitByBit(typename Kind::Register reg, const std::vector<std::byte>& data, dsa::DataBits bits) {
  using Register = typename Kind::Register;
  constexpr unsigned kHighest = 8 * sizeof(Register) - 1;
  Register state = 0;
  for (unsigned bit = 0; bit <= kHighest; ++bit) state = static_cast<Register>(state << 1 | (reg >> bit & 1));
  for (const std::byte byte : data) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      const unsigned place = bits == dsa::DataBits::straight ? 7 - bit : bit;
      const unsigned carry = (state >> kHighest & 1) ^ (static_cast<unsigned>(byte) >> place & 1);
      state = static_cast<Register>(state << 1 ^ (carry != 0 ? Kind::kPolynomial : 0));
    }
  }
  Register reversed = 0;
  for (unsigned bit = 0; bit <= kHighest; ++bit) reversed = static_cast<Register>(reversed << 1 | (state >> bit & 1));
  CHECK(dsa::reverseBits(state) == reversed);
  return reversed;
}

template <typename Kind, dsa::DataBits bits>
void testLength(std::size_t size, std::mt19937_64& random) {
  // Of its own, so that a byte too many is found.
  std::vector<std::byte> data(size);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random());
  const auto reg = static_cast<typename Kind::Register>(random());
  const auto expected = bitByBit<Kind>(reg, data, bits);
  CHECK(dsa::crc<Kind>(reg, data.data(), size, bits) == expected);
  CHECK(dsa::crcPortable<Kind>(reg, data.data(), size, bits) == expected);
#ifdef MDEV_CRC_FOLD
  // Both widths at every length, whatever pays.
  if (size >= dsa::detail::kFoldStride && size % dsa::detail::kFoldUnit == 0 && dsa::detail::canFold()) {
    CHECK((dsa::detail::Fold<Kind, bits, false>::feed(reg, nullptr, data.data(), size)) == expected);
  }
  const bool wide = dsa::detail::canFold() && dsa::detail::canFoldWide();
  if (size > 0 && size % dsa::detail::kWideFoldStride == 0 && wide) {
    CHECK((dsa::detail::Fold<Kind, bits, false>::feedWide(reg, nullptr, data.data(), size)) == expected);
  }
#endif
  if constexpr (sizeof(reg) > sizeof(uint16_t)) {
    std::vector<std::byte> copy(size);
    CHECK(dsa::crcCopy<Kind>(reg, copy.data(), data.data(), size, bits) == expected);
    CHECK(copy == data);
  }
}

template <typename Kind>
void testKind(std::mt19937_64& random) {
  for (std::size_t size = 0; size <= 1100; ++size) {
    testLength<Kind, dsa::DataBits::reflected>(size, random);
    testLength<Kind, dsa::DataBits::straight>(size, random);
  }
  for (const std::size_t size : {4096, 4097, 65'536, 100'001}) {
    testLength<Kind, dsa::DataBits::reflected>(size, random);
    testLength<Kind, dsa::DataBits::straight>(size, random);
  }
}

}  // namespace

int main() {
  std::mt19937_64 random(7);
  testKind<dsa::Crc16T10>(random);
  testKind<dsa::Crc32c>(random);
  testKind<dsa::Crc64>(random);
}
