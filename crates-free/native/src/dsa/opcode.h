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
inline constexpr uint8_t kOpCreateDelta = 0x07;
inline constexpr uint8_t kOpApplyDelta = 0x08;
inline constexpr uint8_t kOpDualcast = 0x09;
inline constexpr uint8_t kOpTranslationFetch = 0x0a;
inline constexpr uint8_t kOpCrcGeneration = 0x10;
inline constexpr uint8_t kOpCopyWithCrc = 0x11;
inline constexpr uint8_t kOpDifCheck = 0x12;
inline constexpr uint8_t kOpDifInsert = 0x13;
inline constexpr uint8_t kOpDifStrip = 0x14;
inline constexpr uint8_t kOpDifUpdate = 0x15;
inline constexpr uint8_t kOpDixGenerate = 0x17;
inline constexpr uint8_t kOpTypeConversion = 0x18;
inline constexpr uint8_t kOpReduce = 0x19;
inline constexpr uint8_t kOpReduceDualcast = 0x1a;
inline constexpr uint8_t kOpCacheFlush = 0x20;

/// Operation codes are one byte; bitmaps of operations (OPCAP, WQCFG) have a bit for each.
inline constexpr unsigned kOpcodes = 256;

}  // namespace mdev::dsa
