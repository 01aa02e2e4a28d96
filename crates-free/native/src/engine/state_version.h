// Versions of the state of a device's queues. A state is written in the oldest one that can say it, so that releases
// that know no other take it as long as nothing is in it that they could not do.
#pragma once

#include <cstdint>

namespace mdev {

/// Everything is aborted that was submitted before something that was.
inline constexpr uint32_t kPlainState = 2;
/// Each descriptor in flight says whether it is aborted, a command which descriptors it waits for, and each queue of
/// which nothing else is left which interrupts are due.
inline constexpr uint32_t kSelectiveState = 3;

}  // namespace mdev
