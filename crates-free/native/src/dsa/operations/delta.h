// What a delta record consists of. DSA specification 8.3.8.
#pragma once

#include <cstdint>

namespace mdev::dsa {

/// Bytes that are compared, and written, as a whole.
inline constexpr uint32_t kDeltaWord = 8;
/// An offset in words, 16 bits, and the word that is there.
inline constexpr uint32_t kDeltaEntry = 2 + kDeltaWord;
/// As far as offsets reach, bytes.
inline constexpr uint32_t kDeltaMostTransfer = (1u << 16) * kDeltaWord;

}  // namespace mdev::dsa
