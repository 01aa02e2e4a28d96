// Operation codes of descriptors. DSA specification 8.3.
#pragma once

#include <cstdint>

namespace mdev::dsa {

inline constexpr uint8_t kOpNoOp = 0x00;
inline constexpr uint8_t kOpBatch = 0x01;
inline constexpr uint8_t kOpDrain = 0x02;
inline constexpr uint8_t kOpMemoryMove = 0x03;
inline constexpr uint8_t kOpFill = 0x04;
inline constexpr uint8_t kOpCompare = 0x05;
inline constexpr uint8_t kOpComparePattern = 0x06;
inline constexpr uint8_t kOpDualcast = 0x09;
inline constexpr uint8_t kOpCrcGeneration = 0x10;
inline constexpr uint8_t kOpCopyWithCrc = 0x11;

/// Operation codes are one byte; bitmaps of operations (OPCAP, WQCFG) have a bit for each.
inline constexpr unsigned kOpcodes = 256;

}  // namespace mdev::dsa
