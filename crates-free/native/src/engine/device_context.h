// What the queues of one device share with the engines that serve them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "dsa/limits.h"
#include "engine/command_completion.h"
#include "engine/event_log.h"
#include "engine/queue_occupancy.h"
#include "engine/software_errors.h"
#include "irq/irq_table.h"
#include "memory/dma_space.h"
#include "registers/register_memory.h"

namespace mdev {

/// Place of a register in each element of a table.
struct RegisterArray {
  uint32_t offset = 0;
  uint32_t stride = 0;
  uint32_t at(uint32_t index) const { return offset + index * stride; }
};

/// Where a device has the shared registers that engines read and change: byte offsets in the region's memory.
struct RegisterOffsets {
  /// SWERROR, four 64-bit words.
  uint32_t softwareError = 0;
  /// INTCAUSE, GENCTRL: 32 bits.
  uint32_t interruptCause = 0;
  uint32_t generalControl = 0;
  /// Occupancy (bits 15:0) and state of each work queue: 32 bits.
  RegisterArray workQueueStatus;
  /// MSIXPERM of each vector: 32 bits.
  RegisterArray msixPermissions;
  /// EVLSTATUS: 64 bits. None in a device without event log.
  std::optional<uint32_t> eventLogStatus = std::nullopt;
};

/// The submitter that a queue's descriptors act for.
struct Pasid {
  uint32_t value = 0;
  bool privileged = false;
};

/// One device as engines see it. Kept alive by everything that still works for it.
struct DeviceContext {
  DeviceContext(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<DmaSpace> space,
                std::shared_ptr<std::atomic<uint64_t>> faults, std::shared_ptr<IrqTable> vectors,
                const RegisterOffsets& places, const dsa::Capabilities& device, uint32_t handleCount)
      : registers(std::move(memory)),
        dma(std::move(space)),
        dmaFaults(std::move(faults)),
        irqs(std::move(vectors)),
        capabilities(device),
        handles(handleCount),
        errors(registers, irqs, {places.softwareError, places.interruptCause, places.generalControl}),
        log(registers, irqs, {places.eventLogStatus, places.interruptCause, places.generalControl}),
        command(registers, irqs, log),
        offsets_(places) {}

  const std::shared_ptr<RegisterMemory> registers;
  const std::shared_ptr<DmaSpace> dma;
  /// Counts accesses to guest memory that failed.
  const std::shared_ptr<std::atomic<uint64_t>> dmaFaults;
  const std::shared_ptr<IrqTable> irqs;
  const dsa::Capabilities capabilities;
  /// Interrupt handles are the indices of MSI-X vectors, below this.
  const uint32_t handles;
  SoftwareErrors errors;
  EventLog log;
  CommandCompletion command;
  /// Nothing is dispatched, and no turn of a descriptor does anything, unless its queue is reset. Written by the owner
  /// thread. Sequentially consistent, as what an engine looks at after it said that it is idle.
  std::atomic<bool> suspended{false};

  /// Whether a descriptor of `pasid` may use the handle: it exists, and its MSIXPERM entry names the same submitter.
  /// DSA specification 9.2.25.
  bool mayUseHandle(uint16_t handle, const std::optional<Pasid>& pasid) const;
  /// The completion interrupt: nothing when the entry says to ignore it.
  void raiseCompletion(uint16_t handle) const;
  /// Tells the guest of an error: in the event log if it is open, else in SWERROR. Any thread.
  void report(const SoftwareError& error);
  /// Only in the event log; false when it is not open. One that it does not take is lost, and SWERROR says so.
  bool reportInLog(const SoftwareError& error);
  /// What the guest is shown of a queue; of the event log's, nothing.
  QueueOccupancy occupancy(uint32_t queue) {
    if (queue == kLogQueue) return QueueOccupancy(std::atomic_ref(unshown_));
    return QueueOccupancy(registers->word32(offsets_.workQueueStatus.at(queue)));
  }
  /// Not the index of a queue that a guest could name: errors on their way to the event log.
  static constexpr uint32_t kLogQueue = ~uint32_t{0};

 private:
  const RegisterOffsets offsets_;
  uint32_t unshown_ = 0;
};

}  // namespace mdev
