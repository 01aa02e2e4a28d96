// How a descriptor's end reaches the guest: record, interrupt, or software error. DSA specification 3.6, 5.4 and 8.2.
#include <atomic>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/status.h"
#include "engine/device_context.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

using dsa::AccessResult;
using dsa::Completion;
using dsa::Descriptor;
using dsa::Step;

/// Writes the byte that is there. Not a zero that compilers know of: they may make a read of that, and a page that may
/// be read need not be one that may be written.
void touch(std::byte& place) {
  static const volatile uint8_t nothing = 0;
  std::atomic_ref(reinterpret_cast<uint8_t&>(place)).fetch_or(nothing, std::memory_order_relaxed);
}

}  // namespace

bool Job::wantsRecord(const Unit& unit) {
  const Descriptor& descriptor = unit.execution.descriptor;
  return descriptor.has(dsa::kFlagCompletionAddressValid) &&
         (!dsa::endedWell(unit.execution.completion.status) || descriptor.has(dsa::kFlagRequestCompletionRecord));
}

Step Job::settle(Unit& unit) {
  const uint8_t status = unit.execution.completion.status;
  const bool failed = !dsa::endedWell(status);
  const bool hasRecord = wantsRecord(unit);
  // Nobody is to be told.
  if (!failed && !hasRecord && !unit.handleGood && !endsInLog_) return Step::finished;

  // A reset of the device waits for the end of this turn: whether the guest sees this descriptor end is decided here.
  if (abandonIfAborted()) return Step::finished;
  if (dsa::isFault(status)) countFault();
  if (endsInLog_ && settleInLog(unit)) return Step::finished;
  if (status == dsa::kStatusRecordAlignment || status == dsa::kStatusPrivilege) {
    reportError(unit);
    return Step::finished;
  }
  if (hasRecord) return writeRecord(unit);
  if (failed) reportError(unit);
  interrupt(unit);
  return Step::finished;
}

Step Job::writeRecord(Unit& unit) {
  const uint64_t address = unit.execution.descriptor.completionAddress();
  const dsa::CompletionWords record = unit.execution.completion.encode(run_->device->capabilities.faultInfo);
  const Translation place = memory_.translate(dsa::Walk::forward, address, sizeof record, kDmaWrite);
  if (place.kind == Translation::Kind::message) {
    memory_.forget();
    std::memcpy(memory_.buffer(kRecordSlot), reinterpret_cast<const std::byte*>(record.data()) + 1, sizeof record - 1);
    memory_.send(kRecordSlot, address + 1, sizeof record - 1);
    unit.stage = Stage::recordBody;
    return Step::parked;
  }
  // Aligned to its size, and maps consist of pages: it lies in one piece or nowhere.
  bool good = place.kind == Translation::Kind::mapped && place.length == sizeof record;
  if (good) {
    auto* const words = reinterpret_cast<uint64_t*>(place.pointer);
    // Atomic throughout: a guest may name the same record in two descriptors.
    for (std::size_t word = 1; word < record.size(); ++word) {
      std::atomic_ref<uint64_t>(words[word]).store(record[word], std::memory_order_relaxed);
    }
    reveal(unit);
    std::atomic_ref<uint64_t>(words[0]).store(record[0], std::memory_order_release);
    good = run_->device->dma->finish(place, place.pointer, sizeof record, true);
  }
  if (good) {
    interrupt(unit);
  } else {
    recordFault(unit);
  }
  return Step::finished;
}

/// The record's bytes 1 to 31 have been written. The memory may have gone since, or be mapped now.
Step Job::sendStatus(Unit& unit) {
  if (abandonIfAborted()) return Step::finished;
  if (memory_.outstanding()) return Step::parked;
  if (memory_.sent(kRecordSlot) == AccessResult::fault) {
    recordFault(unit);
    return Step::finished;
  }
  const std::byte status{unit.execution.completion.status};
  const uint64_t address = unit.execution.descriptor.completionAddress();
  const Translation place = memory_.translate(dsa::Walk::forward, address, 1, kDmaWrite);
  if (place.kind == Translation::Kind::message) {
    memory_.buffer(kRecordSlot)[0] = status;
    memory_.send(kRecordSlot, address, 1);
    unit.stage = Stage::recordStatus;
    return Step::parked;
  }
  bool good = place.kind == Translation::Kind::mapped;
  if (good) {
    // The page may be slow, and from `reveal` on commands wait for the store (decision 9).
    touch(*place.pointer);
    reveal(unit);
    std::atomic_ref(*place.pointer).store(status, std::memory_order_release);
    good = run_->device->dma->finish(place, place.pointer, 1, true);
  }
  if (good) {
    interrupt(unit);
  } else {
    recordFault(unit);
  }
  return Step::finished;
}

/// The record's status byte has been sent: for the guest the descriptor has ended, even if it was aborted meanwhile.
Step Job::settleStatus(Unit& unit) {
  if (run_->detached() || run_->forgotten(sequence_)) {
    abandoned_ = true;
    return Step::finished;
  }
  if (memory_.outstanding()) return Step::parked;
  const bool failed = memory_.sent(kRecordSlot) == AccessResult::fault;
  if (failed && aborted() && !memory_.mayHaveArrived(kRecordSlot)) {
    abandoned_ = true;
  } else if (failed && !aborted()) {
    recordFault(unit);
  } else {
    // An abort does not wait for the client's answer: the guest may have seen the status by then, or is about to.
    interrupt(unit);
  }
  return Step::finished;
}

void Job::interrupt(const Unit& unit) {
  if (!unit.handleGood) return;
  reveal(unit);
  run_->device->raiseCompletion(unit.execution.descriptor.interruptHandle());
}

void Job::countFault() { run_->device->dmaFaults->fetch_add(1, std::memory_order_relaxed); }

void Job::recordFault(Unit& unit) {
  countFault();
  // The log has the record as it is; without a log what it would have said is lost.
  if (logRecord(unit, dsa::kStatusRecordFault)) return;
  Completion& completion = unit.execution.completion;
  completion = {};
  completion.status = dsa::kStatusRecordFault | dsa::kStatusFaultOnWrite;
  completion.faultAddress = unit.execution.descriptor.completionAddress();
  completion.faultOperand = dsa::FaultOperand::record;
  reportError(unit);
}

/// An error of the unit's descriptor, without what depends on the error.
SoftwareError Job::errorOf(const Unit& unit, uint8_t code) const {
  const Descriptor& descriptor = unit.execution.descriptor;
  SoftwareError error;
  error.code = code;
  error.queue = static_cast<uint8_t>(run_->index);
  error.descriptor.emplace();
  error.descriptor->opcode = descriptor.opcode();
  if (const std::optional<Pasid> who = submitter()) {
    error.descriptor->pasid = who->value;
    error.descriptor->privileged = who->privileged;
  }
  if (unit.member) error.descriptor->batchIndex = unit.batchIndex;
  return error;
}

void Job::reportError(const Unit& unit) {
  constexpr unsigned kOperandShift = 29;  // bits 63:61 of SWERROR's second word
  const Descriptor& descriptor = unit.execution.descriptor;
  const Completion& completion = unit.execution.completion;
  SoftwareError error = errorOf(unit, completion.status & dsa::kStatusCodeMask);
  if (dsa::isFault(completion.status)) {
    error.write = (completion.status & dsa::kStatusFaultOnWrite) != 0;
    error.faultAddress = completion.faultAddress;
  }
  if (error.code == dsa::kStatusInvalidFlags)
    error.information = completion.get<uint32_t>(dsa::kCompletionInvalidFlags);
  if (error.code == dsa::kStatusInterruptHandle) {
    error.information = descriptor.interruptHandle();
    error.unfinished = {.interruptHandle = descriptor.interruptHandle(), .interrupt = true};
  }
  // A record that cannot be written needs no operand.
  const bool hasOperand = dsa::isFault(completion.status) && error.code != dsa::kStatusRecordFault;
  if (hasOperand && run_->device->capabilities.faultInfo) {
    error.information = static_cast<uint32_t>(completion.faultOperand) << kOperandShift;
  }
  reveal(unit);
  run_->device->report(error);
}

}  // namespace mdev
