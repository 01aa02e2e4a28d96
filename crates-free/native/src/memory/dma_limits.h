// What a container allows: how much may be mapped, and where.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace mdev {

/// Addresses [first, last], both ends included.
struct IovaRange {
  uint64_t first;
  uint64_t last;
  auto operator<=>(const IovaRange&) const = default;
};

/// What the operator of an instance allows its clients.
struct DmaLimits {
  /// DMA maps at a time; the kernel's type1 container has the same default.
  uint64_t maxMappings = 65535;
  /// Page sizes, or'ed; DMA maps are multiples of the smallest, which is 4096 or more.
  uint64_t pageSizes = 4096;
  /// Where maps may lie: ascending, apart from each other. A map lies in one of them.
  std::vector<IovaRange> windows = {{0, ~uint64_t{0}}};
  /// Memory of a log of dirty pages, bytes. The default covers almost 2 TiB in pages of 4 KiB.
  uint64_t maxDirtyLogBytes = uint64_t{64} << 20;
};

/// Whether they make sense; see DmaSpace::setLimits.
bool wellFormed(const DmaLimits& limits);
/// Whether a map of [first, last] lies in one of the windows.
bool inWindow(const DmaLimits& limits, uint64_t first, uint64_t last);
/// Whether [first, last] consists of whole pages, and lies in one of the windows.
bool fits(const DmaLimits& limits, uint64_t first, uint64_t last);

/// VFIO_IOMMU_GET_INFO: what holds for the present client.
struct DmaInfo {
  uint64_t pageSizes;
  std::vector<IovaRange> windows;
  /// Maps that may still be made.
  uint64_t mappingsAvailable;
  uint64_t maxDirtyLogBytes;
};

/// What holds for the present client: the operator's limits, and what VERSION agreed on.
class AgreedLimits {
 public:
  const DmaLimits& operatorsOwn() const { return limits_; }
  void setOperatorsOwn(DmaLimits limits) { limits_ = std::move(limits); }
  /// See DmaSpace::setClientLimits.
  void setClients(uint64_t maxMappings, uint64_t pageSizes);
  void resetClients() { setClients(~uint64_t{0}, 0); }

  /// What maps are multiples of, bytes.
  uint64_t pageSize() const;
  uint64_t maxMappings() const;
  uint64_t maxDirtyLogBytes() const { return limits_.maxDirtyLogBytes; }
  /// `mappings`: how many there are.
  DmaInfo info(uint64_t mappings) const;

 private:
  DmaLimits limits_;
  uint64_t clientMappings_ = ~uint64_t{0};
  uint64_t clientPageSize_ = 1;
};

}  // namespace mdev
