// The region through which a guest submits descriptors. DSA specification 3.3 and 9.3.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/region_port.h"
#include "dsa/descriptor.h"
#include "engine/work_queue.h"

namespace mdev {

class StateReader;
class StateWriter;

/// Four pages for each work queue: unlimited and limited portal with MSI-X, then the two with IMS, which drop
/// everything here. Each page has 64 slots of 64 bytes that all are the same portal.
///
/// A descriptor is one 64-byte write, or is put together from smaller writes into one slot: it goes off when all bytes
/// are there. A write to bytes that are already there begins the slot anew, and so does one of byte 0 that does not
/// complete it (decision 14); what is lost by that counts as dropped.
///
/// A write of 64 bytes at once is MOVDIR64B if it is posted, which dedicated queues take, and ENQCMD if it is not,
/// which shared queues take; whatever else would be ENQCMD is answered with Retry. What is put together is either, as
/// the queue likes it. Whether a shared queue took the descriptor that was written last into a slot can be read there:
/// 0x00, or 0xff (decision 20). Owner thread; never allocates after construction.
class PortalRegion final : public RegionPort {
 public:
  static constexpr uint64_t kPage = 4096;
  static constexpr uint64_t kPagesPerQueue = 4;
  /// Bytes of the region that belong to one queue.
  static constexpr uint64_t kQueueStride = kPage * kPagesPerQueue;

  /// `log`: of the errors of these queues. A client that has gone takes them along.
  PortalRegion(std::vector<std::shared_ptr<WorkQueue>> queues, std::shared_ptr<WorkQueue> log);

  /// All bytes 0xff, but for slots of shared queues; see above.
  Served read(uint64_t offset, std::span<std::byte> data) override;
  using RegionPort::write;
  Served write(uint64_t offset, std::span<const std::byte> data, const Arrival& arrival) override;
  /// Tells engines of the descriptors that went off.
  void flush() override;
  /// Ends what the client has submitted, whole or half: its addresses are those of its memory, not of the next one's.
  void clientGone() override;

  /// Forgets the halves in the queue's slots. What these say of the last descriptor stays true.
  void dropPartial(uint32_t queue);
  /// The same, and slots say nothing any more.
  void clear(uint32_t queue);
  void clearAll();
  /// What is in slots, for a device's state; see state_archive.h.
  void save(StateWriter& archive) const;
  /// What `save` wrote, read but not taken over. Throws std::bad_alloc.
  struct Halves;
  static std::vector<Halves> read(StateReader& archive, std::size_t queues);
  void adopt(const std::vector<Halves>& halves);

  /// Takes no writes any more.
  void close() {
    queues_.clear();
    log_.reset();
  }

 private:
  static constexpr uint64_t kMsixPages = 2;
  static constexpr uint64_t kSlots = kPage / dsa::kDescriptorSize;

  struct Slot {
    dsa::Descriptor descriptor;
    /// Bit n: byte n is there. All are as long as the last descriptor is one that a shared queue took.
    uint64_t present = 0;
  };
  using QueueSlots = std::array<Slot, kMsixPages * kSlots>;

  static void forget(WorkQueue& queue, Slot& slot);
  static bool complete(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data);
  void writeSlot(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data);
  void writeShared(WorkQueue& queue, Slot& slot, uint64_t at, std::span<const std::byte> data, bool limited);
  Served defer(WorkQueue& queue, Slot& slot, std::span<const std::byte> data, bool limited);

  std::vector<std::shared_ptr<WorkQueue>> queues_;
  std::shared_ptr<WorkQueue> log_;
  std::vector<QueueSlots> slots_;
  /// Descriptors went off since the last flush.
  bool submitted_ = false;
};

/// One slot that is not empty: a part of a descriptor, or all of the one that a shared queue took.
struct PortalRegion::Halves {
  uint32_t queue = 0;
  uint32_t slot = 0;
  uint64_t present = 0;
  dsa::Descriptor descriptor{};
};

}  // namespace mdev
