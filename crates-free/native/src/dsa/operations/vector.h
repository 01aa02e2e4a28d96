// 16 bytes at a time: what every 64-bit processor has registers for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mdev::dsa {

using Vector = uint64_t __attribute__((vector_size(16)));

inline Vector loadVector(const std::byte* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

inline void storeVector(std::byte* to, Vector vector) { std::memcpy(to, &vector, sizeof vector); }

}  // namespace mdev::dsa
