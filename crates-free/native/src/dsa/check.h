// The checks that a descriptor passes before it is executed. DSA specification 5.4 to 5.6.
#pragma once

#include <cstdint>

#include "dsa/descriptor.h"
#include "dsa/limits.h"

namespace mdev::dsa {

/// What is wrong with a descriptor.
struct Failure {
  /// A status code; 0 when nothing is wrong.
  uint8_t status = 0;
  /// With kStatusInvalidFlags: the flags at fault.
  uint32_t invalidFlags = 0;

  explicit operator bool() const { return status != 0; }
};

/// Checks everything that the descriptor alone can get wrong. Whether its interrupt handle may be used is checked by
/// who knows the handles.
Failure check(const Descriptor& descriptor, const Capabilities& capabilities, const QueueLimits& limits, bool inBatch);

}  // namespace mdev::dsa
