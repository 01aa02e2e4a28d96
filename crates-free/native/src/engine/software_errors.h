// The software-error register and the interrupt for it. DSA specification 9.2.15.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/software_error.h"
#include "irq/irq_table.h"
#include "registers/register_memory.h"

namespace mdev {

/// Interrupt causes of INTCAUSE, all on vector 0. DSA specification 9.2.11.
inline constexpr uint32_t kCauseSoftwareError = 1u << 0;
inline constexpr uint32_t kCauseEventLog = 1u << 5;

/// Keeps one error in the guest's register until the guest takes it. Any thread; the guest may clear it at any moment.
class SoftwareErrors {
 public:
  /// Offsets of SWERROR (32 bytes), INTCAUSE and GENCTRL in `memory`; checked by who builds this.
  struct Offsets {
    uint32_t softwareError;
    uint32_t interruptCause;
    uint32_t generalControl;
  };

  SoftwareErrors(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs, Offsets offsets);

  /// Records it and raises vector 0 if the guest wants that; while an earlier one is there, only the overflow bit is
  /// set.
  void record(const SoftwareError& error);

  /// Errors so far, and those of them that overflowed.
  uint64_t recorded() const { return recorded_.load(std::memory_order_relaxed); }
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }
  /// The counts of another device that this one goes on for.
  void adopt(uint64_t recorded, uint64_t lost) {
    recorded_.store(recorded, std::memory_order_relaxed);
    lost_.store(lost, std::memory_order_relaxed);
  }

 private:
  bool publish(const SoftwareError& error);

  std::shared_ptr<RegisterMemory> memory_;
  std::shared_ptr<IrqTable> irqs_;
  const Offsets offsets_;
  /// Only one may fill the words behind the valid bit at a time.
  std::mutex mutex_;
  std::atomic<uint64_t> recorded_{0};
  std::atomic<uint64_t> lost_{0};
};

/// Sets causes in INTCAUSE and raises vector 0, also when they were set before: the guest may be about to clear them.
/// Returns the register's value before.
uint32_t raiseCause(const RegisterMemory& memory, uint32_t offset, uint32_t causes, IrqTable& irqs);

}  // namespace mdev
