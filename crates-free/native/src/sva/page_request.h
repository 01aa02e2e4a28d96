// A page that an engine asks its VMM for.
#pragma once

#include <cstdint>
#include <memory>

#include "memory/dma_space.h"

namespace mdev {

/// Response codes of a page request group (PCI Express Base Specification 5.0, 10.4.2.2).
enum class PageResponse : uint8_t {
  success = 0,   ///< the pages are there: try again
  invalid = 1,   ///< they are not, and will not be
  failure = 15,  ///< refused
};

/// One page request group. The engine allocates it once and uses it again after `answered`.
class PageRequest {
 public:
  PageRequest() = default;
  virtual ~PageRequest() = default;
  PageRequest(const PageRequest&) = delete;
  PageRequest& operator=(const PageRequest&) = delete;

  /// Called exactly once per submit, on the owner thread, or on the submitting thread when nobody could answer. Must
  /// not block; typically wakes the engine that parked the descriptor.
  virtual void answered(PageResponse response) = 0;

  uint32_t pasid = 0;
  /// An address in the first page.
  uint64_t iova = 0;
  /// Pages of 4 KiB, at least 1.
  uint32_t pages = 1;
  /// kDmaRead, kDmaWrite, or both.
  uint32_t rights = kDmaRead;
  bool privileged = false;

 private:
  friend class PageRequestChannel;
  /// The next one in the channel's list, so that taking a request allocates nothing.
  std::shared_ptr<PageRequest> next_;
};

}  // namespace mdev
