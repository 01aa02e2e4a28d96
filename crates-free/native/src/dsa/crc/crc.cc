#include "dsa/crc/crc.h"

#include "dsa/crc/fold.h"
#include "dsa/crc/tables.h"

namespace mdev::dsa {
namespace {

#ifdef MDEV_CRC_FOLD
/// Bytes from which folding twice, first in wide vectors, pays.
constexpr std::size_t kWorthWide = 4 * detail::kWideFoldStride;
#endif

template <typename Kind, DataBits bits, bool copy>
typename Kind::Register feed(typename Kind::Register reg, std::byte* destination, const std::byte* source,
                             std::size_t size) {
#ifdef MDEV_CRC_FOLD
  using Fold = detail::Fold<Kind, bits, copy>;
  const auto behind = [&](std::size_t bytes) {
    if (copy) destination += bytes;
    source += bytes;
    size -= bytes;
  };
  if (size >= kWorthWide && detail::canFold() && detail::canFoldWide()) {
    const std::size_t whole = size / detail::kWideFoldStride * detail::kWideFoldStride;
    reg = Fold::feedWide(reg, destination, source, whole);
    behind(whole);
  }
  if (size >= detail::kFoldStride && detail::canFold()) {
    const std::size_t whole = size / detail::kFoldUnit * detail::kFoldUnit;
    reg = Fold::feed(reg, destination, source, whole);
    behind(whole);
  }
#endif
  return detail::feedByTable<Kind, bits, copy>(reg, destination, source, size);
}

}  // namespace

template <typename Kind>
typename Kind::Register crc(typename Kind::Register reg, const std::byte* data, std::size_t size, DataBits bits) {
  return bits == DataBits::reflected ? feed<Kind, DataBits::reflected, false>(reg, nullptr, data, size)
                                     : feed<Kind, DataBits::straight, false>(reg, nullptr, data, size);
}

template <typename Kind>
typename Kind::Register crcCopy(typename Kind::Register reg, std::byte* destination, const std::byte* source,
                                std::size_t size, DataBits bits) {
  return bits == DataBits::reflected ? feed<Kind, DataBits::reflected, true>(reg, destination, source, size)
                                     : feed<Kind, DataBits::straight, true>(reg, destination, source, size);
}

template <typename Kind>
typename Kind::Register crcPortable(typename Kind::Register reg, const std::byte* data, std::size_t size,
                                    DataBits bits) {
  return bits == DataBits::reflected ? detail::feedByTable<Kind, DataBits::reflected, false>(reg, nullptr, data, size)
                                     : detail::feedByTable<Kind, DataBits::straight, false>(reg, nullptr, data, size);
}

template uint16_t crc<Crc16T10>(uint16_t, const std::byte*, std::size_t, DataBits);
template uint16_t crcPortable<Crc16T10>(uint16_t, const std::byte*, std::size_t, DataBits);
template uint32_t crc<Crc32c>(uint32_t, const std::byte*, std::size_t, DataBits);
template uint32_t crcCopy<Crc32c>(uint32_t, std::byte*, const std::byte*, std::size_t, DataBits);
template uint32_t crcPortable<Crc32c>(uint32_t, const std::byte*, std::size_t, DataBits);
template uint64_t crc<Crc64>(uint64_t, const std::byte*, std::size_t, DataBits);
template uint64_t crcCopy<Crc64>(uint64_t, std::byte*, const std::byte*, std::size_t, DataBits);
template uint64_t crcPortable<Crc64>(uint64_t, const std::byte*, std::size_t, DataBits);

}  // namespace mdev::dsa
