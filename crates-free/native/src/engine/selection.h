// Which descriptors a command is about.
#pragma once

#include <cstdint>
#include <optional>

namespace mdev {

/// Some of a run's descriptors.
struct Selection {
  /// Only those that act for this PASID, see `submitterOf`. Without one all are.
  std::optional<uint32_t> pasid;
};

}  // namespace mdev
