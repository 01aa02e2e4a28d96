// The members of a batch, one after the other. DSA specification 3.8 and 8.3.2.
#include <algorithm>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/status.h"
#include "engine/device_context.h"
#include "engine/job.h"
#include "engine/queue_run.h"

namespace mdev {
namespace {

using dsa::AccessResult;
using dsa::Budget;
using dsa::Completion;
using dsa::Descriptor;
using dsa::Step;

/// Slot of the job's guest access in which the list comes; no member is active then.
constexpr unsigned kListSlot = 0;

}  // namespace

Step Job::batch(Unit& unit, Budget& budget) {
  const uint32_t count = unit.execution.descriptor.size();
  for (;;) {
    if (batch_.memberActive) {
      const Step step = advance(member_, budget);
      if (step != Step::finished || abandoned_) return step;
      batch_.memberActive = false;
      ++batch_.ended;
      if (member_.execution.completion.status != dsa::kStatusSuccess) batch_.failed = true;
      budget.takePiece();
    }
    if (abandonIfAborted()) return Step::finished;
    if (batch_.begun == count) {
      endBatch(unit, batch_.failed ? dsa::kStatusBatchMemberFailed : dsa::kStatusSuccess);
      return Step::finished;
    }
    if (budget.spent()) return Step::yield;
    if (batch_.taken == batch_.fetched) {
      const Step step = fetchList(unit, budget);
      if (step == Step::parked || unit.execution.completion.status != 0) return step;
    }
    Descriptor descriptor;
    std::memcpy(descriptor.bytes.data(), batch_.list.data() + batch_.taken, dsa::kDescriptorSize);
    batch_.taken += dsa::kDescriptorSize;
    if (descriptor.has(dsa::kFlagFence) && batch_.failed) {
      // The fence and everything behind it is not executed, and leaves no record.
      endBatch(unit, dsa::kStatusBatchMemberFailed);
      return Step::finished;
    }
    start(member_, descriptor);
    member_.member = true;
    member_.batchIndex = static_cast<uint16_t>(batch_.begun);
    ++batch_.begun;
    batch_.memberActive = true;
  }
}

/// Copies the next part of the list. `finished` means that it is there, or that `completion` says why not.
Step Job::fetchList(Unit& unit, Budget& budget) {
  const Descriptor& descriptor = unit.execution.descriptor;
  const uint64_t offset = uint64_t{batch_.begun} * dsa::kDescriptorSize;
  const uint64_t address = descriptor.address1() + offset;
  const uint64_t left = uint64_t{descriptor.size() - batch_.begun} * dsa::kDescriptorSize;
  dsa::Piece piece;
  AccessResult result = AccessResult::fault;
  if (address >= descriptor.address1()) {
    result = memory_.read(kListSlot, dsa::Walk::forward, address, std::min<uint64_t>(left, batch_.list.size()), piece);
  }
  if (result == AccessResult::parked) return Step::parked;
  bool good = result == AccessResult::ready;
  if (good) {
    // Aligned, and maps consist of pages: a piece holds whole descriptors.
    batch_.fetched = static_cast<uint32_t>(piece.length - piece.length % dsa::kDescriptorSize);
    batch_.taken = 0;
    std::memcpy(batch_.list.data(), piece.pointer, batch_.fetched);
    budget.takePiece();
    good = memory_.finish(piece, piece.pointer, batch_.fetched, false) && batch_.fetched > 0;
  }
  if (!good) {
    endBatch(unit, dsa::kStatusBatchListFault);
    unit.execution.completion.faultAddress = address;
    unit.execution.completion.faultOperand = dsa::FaultOperand::source1;
  }
  return Step::finished;
}

void Job::endBatch(Unit& unit, uint8_t status) {
  Completion& completion = unit.execution.completion;
  completion.status = status;
  completion.completed = batch_.ended;
  completion.result = batch_.failed && run_->device->capabilities.batchContinuation ? 1 : 0;
}

}  // namespace mdev
