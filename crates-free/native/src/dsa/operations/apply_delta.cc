// Apply delta record. DSA specification 8.3.9.
#include <algorithm>
#include <cstring>

#include "dsa/operations/delta.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/staged.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr Operand kRecord = {16, false, FaultOperand::source1};
constexpr Operand kDestination = {24, true, FaultOperand::destination1};
constexpr unsigned kDestinationSlot = 1;

constexpr std::size_t kDeltaSizeField = 40;
constexpr uint32_t kMostStaged = Staging::kSize / kDeltaEntry * kDeltaEntry;
/// What an entry costs of a chunk, bytes: it may touch a cache line that no other touches.
constexpr uint64_t kCost = 64;

/// Whole entries. What follows them is no entry, and is ignored.
uint32_t recordSize(const Descriptor& descriptor) {
  return descriptor.at<uint32_t>(kDeltaSizeField) / kDeltaEntry * kDeltaEntry;
}

uint8_t checkApply(const Descriptor& descriptor, const Capabilities&, const QueueLimits&) {
  const uint64_t record = descriptor.at<uint64_t>(kRecord.field);
  const uint64_t destination = descriptor.at<uint64_t>(kDestination.field);
  const uint64_t size = descriptor.size();
  const uint64_t deltaSize = descriptor.at<uint32_t>(kDeltaSizeField);
  if (size > kDeltaMostTransfer) return kStatusTransferSize;
  if (deltaSize < kDeltaEntry) return kStatusFieldValue;
  if ((destination | size) % kDeltaWord != 0) return kStatusAlignment;
  return overlap(record, deltaSize, destination, size) ? kStatusOverlap : 0;
}

Step refuse(Execution& execution, uint8_t status) {
  execution.completion.status = status;
  execution.completion.completed = static_cast<uint32_t>(execution.done);
  return Step::finished;
}

/// Applies the entries that are staged. `yield`: all of them.
Step applyStaged(Execution& execution, GuestAccess& memory, DeltaApplyState& state) {
  Staging& staging = memory.staging();
  const uint32_t size = execution.descriptor.size();
  Cursor to(execution.descriptor, kDestination, kDestinationSlot, size, 0);
  while (staging.drained < staging.filled) {
    const std::byte* const entry = staging.data.data() + staging.drained;
    uint16_t offset;
    std::memcpy(&offset, entry, sizeof offset);
    to.seek(uint64_t{offset} * kDeltaWord);
    if (execution.sending != 0) {
      if (memory.outstanding()) return Step::parked;
      if (to.sent(memory) == AccessResult::fault) {
        fault(execution, to);
        return Step::finished;
      }
      execution.sending = 0;
    } else {
      if (offset < state.next) return refuse(execution, kStatusDeltaOrder);
      if (uint64_t{offset} * kDeltaWord >= size) return refuse(execution, kStatusDeltaOffset);
      const AccessResult result = to.acquire(memory, kDeltaWord);
      if (result == AccessResult::parked) return Step::parked;
      // Aligned, and maps consist of pages: a word lies in one piece or nowhere.
      bool good = result == AccessResult::ready && to.available() == kDeltaWord;
      if (good) {
        std::memcpy(to.bytes(kDeltaWord), entry + sizeof offset, kDeltaWord);
        good = to.release(memory, kDeltaWord);
      }
      if (!good) {
        fault(execution, to);
        return Step::finished;
      }
      if (to.sends()) {
        execution.sending = kDeltaWord;
        to.send(memory, kDeltaWord);
        continue;
      }
    }
    state.next = offset + 1u;
    staging.drained += kDeltaEntry;
    execution.done += kDeltaEntry;
  }
  return Step::yield;
}

Step applyDelta(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  if (std::get_if<DeltaApplyState>(&execution.state) == nullptr) execution.state.emplace<DeltaApplyState>();
  DeltaApplyState& state = *std::get_if<DeltaApplyState>(&execution.state);
  Staging& staging = memory.staging();
  const uint32_t all = recordSize(descriptor);
  for (;;) {
    if (!staging.draining) {
      if (execution.done >= all) {
        execution.completion.status = kStatusSuccess;
        return Step::finished;
      }
      if (budget.spent()) return Step::yield;
      Cursor from(descriptor, kRecord, 0, all, execution.done + staging.filled);
      const AccessResult result =
          gather(memory, from, static_cast<uint32_t>(std::min<uint64_t>(kMostStaged, all - execution.done)));
      if (result == AccessResult::parked) return Step::parked;
      // What lies before a fault is applied before it is reported.
      const uint32_t entries = staging.filled / kDeltaEntry;
      if (entries == 0) {
        fault(execution, from);
        return Step::finished;
      }
      budget.take(entries * kCost);
      staging.drain(entries * kDeltaEntry);
    }
    if (const Step step = applyStaged(execution, memory, state); step != Step::yield) return step;
    staging.clear();
  }
}

bool plausibleApply(const Execution& execution, const Staging& staging) {
  if (!stagingPlausible(execution, staging)) return false;
  const uint32_t all = recordSize(execution.descriptor);
  if (execution.done % kDeltaEntry != 0 || execution.done > all || staging.drained > execution.done) return false;
  if (staging.filled - staging.drained > all - execution.done) return false;
  if (std::get_if<DeltaApplyState>(&execution.state) == nullptr && (!untouched(execution) || staging.filled > 0)) {
    return false;
  }
  if (!staging.draining) return true;
  const bool whole = staging.filled % kDeltaEntry == 0 && staging.drained % kDeltaEntry == 0;
  return whole && (execution.sending == 0 || execution.sending == kDeltaWord);
}

}  // namespace

const Operation kApplyDelta = {.execute = applyDelta, .check = checkApply, .plausible = plausibleApply, .staged = true};

}  // namespace mdev::dsa
