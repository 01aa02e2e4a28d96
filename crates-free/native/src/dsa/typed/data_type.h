// Types of the elements that typed operations work on. DSA specification 8.1.9.
#pragma once

#include <cstdint>

namespace mdev::dsa {

/// The codes are those of descriptors. Integers are signed if a compute flag says so.
enum class DataType : uint8_t { int8, int16, int32, int64, e5m2, e4m3, fp16, bf16, fp32, fp64 };
inline constexpr uint8_t kDataTypes = 10;

constexpr bool isFloat(DataType type) { return type >= DataType::e5m2; }

/// Bytes of an element: 1, 2, 4 or 8.
constexpr uint32_t sizeOf(DataType type) {
  constexpr uint32_t kSizes[kDataTypes] = {1, 2, 4, 8, 1, 1, 2, 2, 4, 8};
  return kSizes[static_cast<uint8_t>(type)];
}

/// The type that holds every value of both, of types between which there is a conversion.
constexpr DataType wider(DataType left, DataType right) { return sizeOf(left) < sizeOf(right) ? right : left; }

}  // namespace mdev::dsa
