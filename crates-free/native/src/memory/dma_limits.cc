#include "memory/dma_limits.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>

namespace mdev {

namespace {

/// What DmaLimits::pageSizes may hold at least, bytes.
constexpr uint64_t kSmallestPage = 4096;

uint64_t smallestPage(uint64_t pageSizes) { return uint64_t{1} << std::countr_zero(pageSizes); }

}  // namespace

bool wellFormed(const DmaLimits& limits) {
  if (limits.pageSizes == 0 || smallestPage(limits.pageSizes) < kSmallestPage || limits.windows.empty()) return false;
  for (std::size_t index = 0; index < limits.windows.size(); ++index) {
    const IovaRange& window = limits.windows[index];
    if (window.first > window.last) return false;
    if (index > 0 && window.first <= limits.windows[index - 1].last) return false;
  }
  return true;
}

bool inWindow(const DmaLimits& limits, uint64_t first, uint64_t last) {
  const auto behind = std::ranges::upper_bound(limits.windows, first, {}, &IovaRange::first);
  return behind != limits.windows.begin() && last <= std::prev(behind)->last;
}

bool fits(const DmaLimits& limits, uint64_t first, uint64_t last) {
  const uint64_t within = smallestPage(limits.pageSizes) - 1;
  return (first & within) == 0 && (last & within) == within && inWindow(limits, first, last);
}

void AgreedLimits::setClients(uint64_t maxMappings, uint64_t pageSizes) {
  clientMappings_ = maxMappings;
  clientPageSize_ = pageSizes == 0 ? 1 : smallestPage(pageSizes);
}

uint64_t AgreedLimits::pageSize() const { return std::max(smallestPage(limits_.pageSizes), clientPageSize_); }

uint64_t AgreedLimits::maxMappings() const { return std::min(limits_.maxMappings, clientMappings_); }

DmaInfo AgreedLimits::info(uint64_t mappings) const {
  return {.pageSizes = limits_.pageSizes & ~(pageSize() - 1),
          .windows = limits_.windows,
          .mappingsAvailable = maxMappings() - std::min(mappings, maxMappings()),
          .maxDirtyLogBytes = limits_.maxDirtyLogBytes};
}

}  // namespace mdev
