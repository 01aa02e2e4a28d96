// Bounds-checked copies between memory of ours and guest memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "memory/dma_space.h"

namespace mdev {

/// The result of a copy that meets guest memory without a file: it must go through the client, as a whole.
inline constexpr int kNeedsMessage = -1;

/// Copies guest memory at `iova` to `into`, or `from` to guest memory. 0, EFAULT (a part is not mapped, lacks the
/// right, is broken, or lies beyond 2^64) or kNeedsMessage; on anything but 0 a first part may have been copied.
int copyFromGuest(const DmaSpace& space, EpochDomain::Reader& reader, uint64_t iova, std::span<std::byte> into);
int copyToGuest(const DmaSpace& space, EpochDomain::Reader& reader, uint64_t iova, std::span<const std::byte> from);

}  // namespace mdev
