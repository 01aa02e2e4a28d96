#include "engine/software_errors.h"

#include <utility>

namespace mdev {
namespace {

// Word 0 of SWERROR.
constexpr uint64_t kValid = 1u << 0;
constexpr uint64_t kOverflow = 1u << 1;

/// GENCTRL: interrupt for software errors.
constexpr uint32_t kSoftwareErrorInterrupt = 1u << 0;
constexpr uint32_t kErrorVector = 0;

}  // namespace

uint32_t raiseCause(const RegisterMemory& memory, uint32_t offset, uint32_t causes, IrqTable& irqs) {
  const uint32_t before = memory.word32(offset).fetch_or(causes, std::memory_order_acq_rel);
  irqs.trigger(kErrorVector);
  return before;
}

SoftwareErrors::SoftwareErrors(std::shared_ptr<RegisterMemory> memory, std::shared_ptr<IrqTable> irqs, Offsets offsets)
    : memory_(std::move(memory)), irqs_(std::move(irqs)), offsets_(offsets) {}

void SoftwareErrors::record(const SoftwareError& error) {
  recorded_.fetch_add(1, std::memory_order_relaxed);
  bool published;
  {
    const std::lock_guard lock(mutex_);
    published = publish(error);
  }
  if (!published) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const uint32_t control = memory_->word32(offsets_.generalControl).load(std::memory_order_acquire);
  if ((control & kSoftwareErrorInterrupt) != 0) {
    raiseCause(*memory_, offsets_.interruptCause, kCauseSoftwareError, *irqs_);
  }
}

bool SoftwareErrors::publish(const SoftwareError& error) {
  const std::atomic_ref<uint64_t> head = memory_->word64(offsets_.softwareError);
  uint64_t seen = head.load(std::memory_order_acquire);
  // The guest only clears bits, and does so atomically: when it gets in between, look again.
  while ((seen & kValid) != 0) {
    if (head.compare_exchange_weak(seen, seen | kOverflow, std::memory_order_acq_rel)) return false;
  }
  const SoftwareErrorWords words = softwareErrorWords(error);
  memory_->word64(offsets_.softwareError + 8).store(words[1], std::memory_order_relaxed);
  memory_->word64(offsets_.softwareError + 16).store(words[2], std::memory_order_relaxed);
  memory_->word64(offsets_.softwareError + 24).store(0, std::memory_order_relaxed);
  // An overflow that the guest has not cleared yet stays.
  while (!head.compare_exchange_weak(seen, (seen & kOverflow) | words[0], std::memory_order_acq_rel)) {
  }
  return true;
}

}  // namespace mdev
