// What a device's interrupts remember, as bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "core/interrupts.h"

namespace mdev {

/// Words of 32 bits, little-endian: version (1), enabled index + 1 or 0, vectors of it, INTx (1 asserted, 2 masked,
/// 4 disabled); then for each index: all masked or not, number n of words, n of masks, n of latched vectors.
std::vector<std::byte> encode(const InterruptState& state);
/// Nothing for bytes that are none of `encode`'s. Whether the counts are a device's own is not looked at.
std::optional<InterruptState> decodeInterruptState(std::span<const std::byte> bytes);

}  // namespace mdev
