// Create delta record. DSA specification 8.3.8.
#include <algorithm>
#include <cstring>

#include "dsa/flags.h"
#include "dsa/operations/delta.h"
#include "dsa/operations/operation.h"
#include "dsa/operations/staged.h"
#include "dsa/operations/vector.h"
#include "dsa/status.h"

namespace mdev::dsa {
namespace {

constexpr Operand kFirst = {16, false, FaultOperand::source1};
constexpr Operand kSecond = {24, false, FaultOperand::source2};
constexpr Operand kRecord = {40, true, FaultOperand::destination1};
constexpr unsigned kRecordSlot = 2;

constexpr std::size_t kMostField = 48;
constexpr std::size_t kExpectedField = 56;
/// The least room that a record must be given, bytes.
constexpr uint32_t kLeastRoom = 8 * kDeltaEntry;

enum class Result : uint8_t { equal = 0, differs = 1, overflow = 2 };

uint8_t checkCreate(const Descriptor& descriptor, const Capabilities&, const QueueLimits& limits) {
  const uint64_t first = descriptor.at<uint64_t>(kFirst.field);
  const uint64_t second = descriptor.at<uint64_t>(kSecond.field);
  const uint64_t record = descriptor.at<uint64_t>(kRecord.field);
  const uint64_t size = descriptor.size();
  const uint64_t most = descriptor.at<uint32_t>(kMostField);
  if (size > kDeltaMostTransfer) return kStatusTransferSize;
  if (most < kLeastRoom || most > limits.maxTransfer) return kStatusFieldValue;
  if ((first | second | size) % kDeltaWord != 0) return kStatusAlignment;
  return overlap(record, most, first, size) || overlap(record, most, second, size) ? kStatusOverlap : 0;
}

/// Bytes that are first only compared as a whole.
constexpr uint64_t kBlock = 64;

bool blockEqual(const std::byte* first, const std::byte* second) {
  Vector all{};
  for (uint64_t at = 0; at < kBlock; at += sizeof(Vector)) all |= loadVector(first + at) ^ loadVector(second + at);
  return (all[0] | all[1]) == 0;
}

/// Compares `length` bytes, a multiple of words, and stages an entry for each word that differs, as long as there is
/// room for `room` of them. Returns how many bytes were compared. What an entry holds was read once.
uint64_t collect(const std::byte* first, const std::byte* second, uint64_t length, uint32_t from, Staging& staging,
                 uint32_t room) {
  uint64_t at = 0;
  while (at < length) {
    if (length - at >= kBlock && blockEqual(first + at, second + at)) {
      at += kBlock;
      continue;
    }
    for (const uint64_t end = std::min(at + kBlock, length); at < end; at += kDeltaWord) {
      uint64_t before;
      uint64_t after;
      std::memcpy(&before, first + at, sizeof before);
      std::memcpy(&after, second + at, sizeof after);
      if (before == after) continue;
      if (room == 0) return at;
      --room;
      const auto offset = static_cast<uint16_t>((from + at) / kDeltaWord);
      std::byte* const entry = staging.data.data() + staging.filled;
      std::memcpy(entry, &offset, sizeof offset);
      std::memcpy(entry + sizeof offset, &after, sizeof after);
      staging.filled += kDeltaEntry;
    }
  }
  return length;
}

Step succeed(Execution& execution, Result result) {
  const auto number = static_cast<uint8_t>(result);
  execution.completion.result = number;
  execution.completion.completed = result == Result::overflow ? static_cast<uint32_t>(execution.done) : 0;
  execution.completion.put(kCompletionDeltaSize, std::get_if<DeltaCreateState>(&execution.state)->written);
  const bool expected = (execution.descriptor.at<uint8_t>(kExpectedField) >> number & 1) != 0;
  execution.completion.status =
      execution.descriptor.has(kFlagCheckResult) && !expected ? kStatusPredicateFalse : kStatusSuccess;
  return Step::finished;
}

Step failAt(Execution& execution, const Cursor& cursor) {
  const uint32_t written = std::get_if<DeltaCreateState>(&execution.state)->written;
  fault(execution, cursor);
  execution.completion.result = static_cast<uint8_t>(written > 0 ? Result::differs : Result::equal);
  execution.completion.put(kCompletionDeltaSize, written);
  return Step::finished;
}

/// The record could not be written on: what differs from there on does not count.
Step failInRecord(Execution& execution, DeltaCreateState& state, const Staging& staging, const Cursor& record) {
  const uint32_t whole = staging.drained / kDeltaEntry * kDeltaEntry;
  uint16_t offset;
  std::memcpy(&offset, staging.data.data() + whole, sizeof offset);
  state.written += whole;
  execution.done = uint64_t{offset} * kDeltaWord;
  return failAt(execution, record);
}

/// Finds the next pieces of both sources; `broken` is the one that faults.
Step acquireBoth(GuestAccess& memory, Cursor& first, Cursor& second, const Cursor*& broken) {
  const AccessResult one = first.acquire(memory, std::min(first.left(), kChunk));
  if (one == AccessResult::fault) broken = &first;
  if (broken != nullptr) return Step::yield;
  const AccessResult two = second.acquire(memory, std::min(second.left(), kChunk));
  // What is on its way for the first source has to arrive first: it may fail too, and counts before the second.
  if (one == AccessResult::parked || two == AccessResult::parked) return Step::parked;
  if (two == AccessResult::fault) broken = &second;
  return Step::yield;
}

Step createDelta(Execution& execution, GuestAccess& memory, Budget& budget) {
  const Descriptor& descriptor = execution.descriptor;
  if (std::get_if<DeltaCreateState>(&execution.state) == nullptr) execution.state.emplace<DeltaCreateState>();
  DeltaCreateState& state = *std::get_if<DeltaCreateState>(&execution.state);
  Staging& staging = memory.staging();
  const uint32_t size = descriptor.size();
  const uint32_t most = descriptor.at<uint32_t>(kMostField);
  Cursor first(descriptor, kFirst, 0, size, state.compared);
  Cursor second(descriptor, kSecond, 1, size, state.compared);
  Cursor record(descriptor, kRecord, kRecordSlot, most, state.written + staging.drained);
  for (;;) {
    if (staging.draining) {
      const AccessResult result = scatter(execution, memory, record);
      if (result == AccessResult::parked) return Step::parked;
      if (result == AccessResult::fault) return failInRecord(execution, state, staging, record);
      state.written += staging.filled;
      staging.clear();
    }
    if (staging.filled == 0) execution.done = state.compared;
    const bool ended = state.compared >= size;
    const uint32_t inStaging = (Staging::kSize - staging.filled) / kDeltaEntry;
    if (staging.filled > 0 && (ended || inStaging == 0)) {
      staging.drain(staging.filled);
      continue;
    }
    if (ended) return succeed(execution, state.written > 0 ? Result::differs : Result::equal);
    if (budget.spent()) return Step::yield;

    const uint32_t inRecord = (most - state.written - staging.filled) / kDeltaEntry;
    const uint32_t before = staging.filled;
    uint64_t length = 0;
    uint64_t compared = 0;
    const Cursor* broken = nullptr;
    const Step found = acquireBoth(memory, first, second, broken);
    if (found == Step::parked) return found;
    if (broken == nullptr) {
      length = std::min({first.available(), second.available(), std::max<uint64_t>(budget.bytes(), kDeltaWord)}) /
               kDeltaWord * kDeltaWord;
      compared = collect(first.bytes(length), second.bytes(length), length, state.compared, staging,
                         std::min(inStaging, inRecord));
      // An entry takes as long as some bytes that are equal.
      budget.take(length + staging.filled - before);
      if (!second.release(memory, length)) broken = &second;
      if (!first.release(memory, length)) broken = &first;
    }
    if (broken != nullptr) {
      // What was found in pieces that are void does not count; what was found before goes out first.
      staging.filled = before;
      if (before == 0) return failAt(execution, *broken);
      staging.drain(before);
      continue;
    }
    state.compared += static_cast<uint32_t>(compared);
    first.advance(compared);
    second.advance(compared);
    if (compared == length || inStaging < inRecord) continue;
    // A word differs, and has no room in the record.
    if (staging.filled > 0) {
      staging.drain(staging.filled);
    } else {
      execution.done = state.compared;
      return succeed(execution, Result::overflow);
    }
  }
}

bool plausibleCreate(const Execution& execution, const Staging& staging) {
  if (!stagingPlausible(execution, staging)) return false;
  const auto* const state = std::get_if<DeltaCreateState>(&execution.state);
  if (state == nullptr) return untouched(execution) && staging.filled == 0;
  const uint32_t most = execution.descriptor.at<uint32_t>(kMostField);
  return state->compared % kDeltaWord == 0 && state->compared <= execution.descriptor.size() &&
         execution.done <= state->compared && state->written % kDeltaEntry == 0 && state->written <= most &&
         staging.filled % kDeltaEntry == 0 && staging.filled <= most - state->written &&
         (!staging.draining || staging.filled > 0);
}

}  // namespace

const Operation kCreateDelta = {
    .execute = createDelta, .check = checkCreate, .plausible = plausibleCreate, .staged = true};

}  // namespace mdev::dsa
