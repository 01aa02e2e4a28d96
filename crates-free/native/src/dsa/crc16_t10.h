// CRC-16 of the T10 data integrity field (polynomial 0x8BB7, highest bit first). DSA specification, appendix B.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdev::dsa {

/// Feeds `size` bytes into the register and returns its new value.
uint16_t crc16T10(uint16_t reg, const std::byte* data, std::size_t size);

/// The portable way, whatever the processor has. For tests.
uint16_t crc16T10Portable(uint16_t reg, const std::byte* data, std::size_t size);

}  // namespace mdev::dsa
