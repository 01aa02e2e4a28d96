// Descriptor flags, bytes 4 to 6. DSA specification 8.1.3.
#pragma once

#include <cstdint>

namespace mdev::dsa {

inline constexpr uint32_t kFlagFence = 1u << 0;
inline constexpr uint32_t kFlagBlockOnFault = 1u << 1;
inline constexpr uint32_t kFlagCompletionAddressValid = 1u << 2;
inline constexpr uint32_t kFlagRequestCompletionRecord = 1u << 3;
inline constexpr uint32_t kFlagRequestCompletionInterrupt = 1u << 4;
inline constexpr uint32_t kFlagCacheControl3 = 1u << 5;
inline constexpr uint32_t kFlagCheckResult = 1u << 7;
inline constexpr uint32_t kFlagCacheControl1 = 1u << 8;
inline constexpr uint32_t kFlagTrafficClass1 = 1u << 9;
inline constexpr uint32_t kFlagTrafficClass2 = 1u << 10;
inline constexpr uint32_t kFlagTrafficClass3 = 1u << 11;
inline constexpr uint32_t kFlagTrafficClassCompletion = 1u << 12;
inline constexpr uint32_t kFlagStrictOrdering = 1u << 13;
inline constexpr uint32_t kFlagCacheControl2 = 1u << 14;

/// Bits 23:16 mean something else for each operation.
inline constexpr uint32_t kFlagBatchError = 1u << 16;
inline constexpr uint32_t kFlagReadCrcSeed = 1u << 16;
inline constexpr uint32_t kFlagBypassCrcInversionAndReflection = 1u << 17;
inline constexpr uint32_t kFlagBypassDataReflection = 1u << 18;
inline constexpr uint32_t kFlagCrc64 = 1u << 19;
inline constexpr uint32_t kFlagUseStride = 1u << 16;
inline constexpr uint32_t kFlagPattern16 = 1u << 18;
inline constexpr uint32_t kFlagReadback1 = 1u << 16;
inline constexpr uint32_t kFlagReadback2 = 1u << 17;
/// No implicit readback for a traffic class. There is none here: memory is always coherent.
inline constexpr uint32_t kFlagSuppressReadbackA = 1u << 18;
inline constexpr uint32_t kFlagSuppressReadbackB = 1u << 19;

/// Of reduce dualcast; bit 16 of typed operations and bits 16 and 17 of others ask for the memory of another domain.
inline constexpr uint32_t kFlagTrafficClassDestination2 = 1u << 17;

/// The three cache-control bits of a writing operation.
inline constexpr uint32_t kFlagsCacheControl = kFlagCacheControl1 | kFlagCacheControl2 | kFlagCacheControl3;

}  // namespace mdev::dsa
