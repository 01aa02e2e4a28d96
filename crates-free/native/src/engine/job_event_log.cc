// An entry of the event log on its way to guest memory, and descriptors that end by one. DSA specification 5.9.
#include <array>
#include <atomic>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/opcode.h"
#include "dsa/status.h"
#include "engine/device_context.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

using dsa::AccessResult;
using dsa::Descriptor;
using dsa::Step;

/// The largest entry.
constexpr std::size_t kMostWords = 256 / sizeof(uint64_t);

/// An entry could not be written. `address`: of the access that failed; none when the log is full.
void lose(DeviceContext& device, std::optional<uint64_t> address) {
  device.log.countLost();
  SoftwareError error;
  error.code = dsa::kErrorEventLog;
  if (address) {
    device.dmaFaults->fetch_add(1, std::memory_order_relaxed);
    error.write = true;
    error.faultAddress = *address;
  }
  device.errors.record(error);
}

}  // namespace

Step Job::writeEntry(Unit& unit) {
  if (abandonIfAborted()) return Step::finished;
  DeviceContext& device = *run_->device;
  const std::optional<uint64_t> address = device.log.place();
  if (device.log.full() || !address) {
    reveal(unit);
    lose(device, device.log.full() ? std::nullopt : std::optional(~uint64_t{0}));
    return Step::finished;
  }
  const uint32_t size = device.log.entrySize();
  std::array<uint64_t, kMostWords> entry{};
  std::memcpy(entry.data(), unit.execution.descriptor.bytes.data(), dsa::kDescriptorSize);
  memory_.forget();
  const Translation place = memory_.translate(dsa::Walk::forward, *address, size, kDmaWrite);
  // Aligned to its size, and maps consist of pages: it lies in one piece or nowhere.
  if (place.kind == Translation::Kind::message && place.length == size) {
    std::memcpy(memory_.buffer(kRecordSlot), entry.data(), size);
    memory_.send(kRecordSlot, *address, size);
    unit.stage = Stage::entrySent;
    return Step::parked;
  }
  bool good = place.kind == Translation::Kind::mapped && place.length == size;
  if (good) {
    auto* const words = reinterpret_cast<uint64_t*>(place.pointer);
    // Atomic: a guest may look, wherever the tail is.
    for (std::size_t word = 0; word < size / sizeof(uint64_t); ++word) {
      std::atomic_ref<uint64_t>(words[word]).store(entry[word], std::memory_order_relaxed);
    }
    good = device.dma->finish(place, place.pointer, size, true);
  }
  reveal(unit);
  if (good) {
    device.log.advance();
  } else {
    lose(device, address);
  }
  return Step::finished;
}

/// The entry has been sent by message. The tail has not moved: the guest has not seen it yet.
Step Job::settleEntry(Unit& unit) {
  if (abandonIfAborted()) return Step::finished;
  if (memory_.outstanding()) return Step::parked;
  DeviceContext& device = *run_->device;
  reveal(unit);
  if (memory_.sent(kRecordSlot) == AccessResult::fault) {
    lose(device, device.log.place());
  } else {
    device.log.advance();
  }
  return Step::finished;
}

/// The unit's record could not be written, or is not to be before software has mended those of others: an entry has it
/// from now on. False when no log is open.
bool Job::logRecord(const Unit& unit, uint8_t code) {
  DeviceContext& device = *run_->device;
  if (!device.log.isOpen()) return false;
  const Descriptor& descriptor = unit.execution.descriptor;
  SoftwareError error = errorOf(unit, code);
  error.write = code == dsa::kStatusRecordFault;
  error.faultAddress = descriptor.completionAddress();
  error.record = unit.execution.completion.encode(device.capabilities.faultInfo);
  SoftwareError::Unfinished& left = error.unfinished.emplace();
  if (unit.handleGood) left.interruptHandle = descriptor.interruptHandle();
  left.interrupt = unit.handleGood;
  left.record = code == dsa::kStatusRecordFault || wantsRecord(unit);
  if (unit.member) {
    left.firstOfBatch = !endsInLog_;
    if (left.firstOfBatch) logBatch_ = device.log.nextBatch();
  }
  if (unit.member || code == dsa::kErrorBatchAfterFaults) error.batch = logBatch_;
  reveal(unit);
  // Closed just now, by an abort of everything: nobody waits for what is left of it.
  if (!device.reportInLog(error)) {
    abandoned_ = true;
    return true;
  }
  if (unit.member) endsInLog_ = true;
  if (code == dsa::kStatusRecordFault) run_->noteRecordLogged();
  return true;
}

/// A drain, or a batch, after records that could not be written. False when it ends as usual: no log is open any more.
bool Job::settleInLog(const Unit& unit) {
  const Descriptor& descriptor = unit.execution.descriptor;
  // Software mends a record even if none was asked for, when it could not write a member's.
  if (unit.member || (!descriptor.has(dsa::kFlagCompletionAddressValid) && !unit.handleGood)) return false;
  const bool batch = descriptor.opcode() == dsa::kOpBatch;
  return logRecord(unit, batch ? dsa::kErrorBatchAfterFaults : dsa::kErrorDrainAfterFaults);
}

void Job::endInLog(uint8_t batch) {
  endsInLog_ = true;
  logBatch_ = batch;
}

}  // namespace mdev
