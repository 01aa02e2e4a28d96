// Which address space each PASID of one device means.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "memory/dma_space.h"
#include "memory/epoch.h"

namespace mdev {

class PageRequestChannel;

/// PASIDs have 20 bits at most (PCI Express Base Specification 5.0, 6.20).
inline constexpr unsigned kPasidBits = 20;
inline constexpr uint32_t kMaxPasid = (uint32_t{1} << kPasidBits) - 1;

/// The address spaces of one device by PASID: changed by the owner thread, read by engines without a lock, each look-up
/// in constant time. A space may be behind several PASIDs, and behind those of several devices.
class PasidTable {
 public:
  /// `requests`: the way of page requests to this device's VMM; null: it asks for none.
  explicit PasidTable(std::shared_ptr<PageRequestChannel> requests = nullptr) : requests_(std::move(requests)) {}
  /// Any thread. Engines that hold the table have left their guards.
  ~PasidTable() = default;
  PasidTable(const PasidTable&) = delete;
  PasidTable& operator=(const PasidTable&) = delete;

  // --- Owner thread, outside of guards. Results are 0 or a positive errno; on error nothing changed. ---

  // Those that take something away wait for this table's readers, for at most one chunk, as an unmap does.

  /// EINVAL: no space, or a PASID beyond kMaxPasid; EEXIST: it is attached already; ENOMEM.
  int attach(uint32_t pasid, std::shared_ptr<DmaSpace> space);
  /// Another space instead, at once: no reader finds none. On return nobody uses the earlier one by this PASID any
  /// more. EINVAL as `attach`; ENOENT: the PASID is not attached.
  int replace(uint32_t pasid, std::shared_ptr<DmaSpace> space);
  /// On return nobody uses the space by this PASID any more. ENOENT: it is not attached.
  int detach(uint32_t pasid);
  void detachAll();
  /// While not, no PASID is found: PASID disabled, bus master off, device isolated or paused. Not reachable at first.
  void setReachable(bool reachable);
  /// What readers keep beyond their guards is void (`generation`). On return nobody uses what he found before.
  void invalidate();
  /// PASIDs that are attached.
  std::size_t size() const { return size_; }
  /// The space behind a PASID, reachable or not; null: none.
  std::shared_ptr<DmaSpace> attached(uint32_t pasid) const;
  bool reachable() const { return reachable_.load(std::memory_order_relaxed); }

  // --- Any thread ---

  /// Where engines ask for pages; null: nowhere, a fault is a fault.
  const std::shared_ptr<PageRequestChannel>& requests() const { return requests_; }
  /// What readers open their guards in (PasidGuard).
  const EpochDomain& epochs() const { return epochs_; }
  /// Changes before anything that was found is taken away or invalidated: what an engine keeps from one guard to the
  /// next is void when this is another number. Read it under the guard.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  /// The space behind a PASID, or null. Under a guard of `epochs()`, and valid as long as it; never allocates.
  const DmaSpace* find(uint32_t pasid) const;

 private:
  static constexpr unsigned kLeafBits = 10;
  static constexpr uint32_t kLeafSize = uint32_t{1} << kLeafBits;
  static constexpr uint32_t kLeaves = uint32_t{1} << (kPasidBits - kLeafBits);

  struct Leaf {
    /// The readers' side; null: not attached.
    std::array<std::atomic<const DmaSpace*>, kLeafSize> found{};
    /// The owner's, which keeps the spaces.
    std::array<std::shared_ptr<DmaSpace>, kLeafSize> kept;
    std::size_t size = 0;
  };
  Leaf* leafOf(uint32_t pasid) const;
  void publish(uint32_t pasid, const DmaSpace* space);
  void awaitReaders();

  const std::shared_ptr<PageRequestChannel> requests_;
  EpochDomain epochs_;
  /// A leaf that was made stays: there are 1,024 at most.
  std::array<std::unique_ptr<Leaf>, kLeaves> made_;
  /// The readers' copy.
  std::array<std::atomic<const Leaf*>, kLeaves> leaves_{};
  std::atomic<bool> reachable_{false};
  std::atomic<uint64_t> generation_{1};
  std::size_t size_ = 0;
};

}  // namespace mdev
