#include "dsa/operations/stream.h"

#include <algorithm>
#include <array>

#include "dsa/status.h"

namespace mdev::dsa {
namespace {

/// The place of an operand where the walk is: the next byte (forward), or the end of what is left (backward).
struct Place {
  uint64_t address;
  /// The transfer runs over the end of the address space before it gets here.
  bool beyond;
};

Place placeOf(const Execution& execution, const StreamOperand& operand) {
  const uint64_t base = execution.descriptor.at<uint64_t>(operand.field);
  if (execution.walk == Walk::forward) return {base + execution.done, base + execution.done < base};
  const uint64_t left = execution.descriptor.size() - execution.done;
  // An end of 0 is 2^64, which is no overrun.
  return {base + left, base + (left - 1) < base};
}

void faultAt(Execution& execution, const StreamOperand& operand) {
  const Place place = placeOf(execution, operand);
  const uint64_t address = execution.walk == Walk::forward ? place.address : place.address - 1;
  fault(execution, address, operand.name, operand.write);
}

/// Takes up what was being sent by message. `finished` here means that it failed.
Step settleSending(Execution& execution, GuestAccess& memory, std::span<const StreamOperand> operands) {
  if (execution.sending == 0) return Step::yield;
  if (memory.outstanding()) return Step::parked;
  for (unsigned slot = 0; slot < operands.size(); ++slot) {
    if (operands[slot].write && memory.sent(slot) == AccessResult::fault) {
      faultAt(execution, operands[slot]);
      return Step::finished;
    }
  }
  execution.done += execution.sending;
  execution.sending = 0;
  return Step::yield;
}

/// Finds the next piece of every operand; `length` becomes what they have in common. `finished` means a fault, `yield`
/// that the pieces are there.
Step acquire(Execution& execution, GuestAccess& memory, std::span<const StreamOperand> operands,
             std::array<Piece, GuestAccess::kSlots>& pieces, uint64_t& length) {
  const uint64_t wanted = std::min(execution.descriptor.size() - execution.done, kChunk);
  bool parked = false;
  for (unsigned slot = 0; slot < operands.size(); ++slot) {
    const StreamOperand& operand = operands[slot];
    const Place place = placeOf(execution, operand);
    AccessResult result = AccessResult::fault;
    if (!place.beyond) {
      result = operand.write ? memory.write(slot, execution.walk, place.address, wanted, pieces[slot])
                             : memory.read(slot, execution.walk, place.address, wanted, pieces[slot]);
    }
    if (result == AccessResult::fault) {
      // What is on its way for an earlier operand has to arrive first: it may fail too, and counts before this.
      if (parked) return Step::parked;
      faultAt(execution, operand);
      return Step::finished;
    }
    if (result == AccessResult::parked) parked = true;
    if (result == AccessResult::ready) length = std::min(length, pieces[slot].length);
  }
  return parked ? Step::parked : Step::yield;
}

}  // namespace

void fault(Execution& execution, uint64_t address, FaultOperand operand, bool write) {
  execution.completion.status = kStatusPageFault | (write ? kStatusFaultOnWrite : 0);
  execution.completion.faultAddress = address;
  execution.completion.faultOperand = operand;
  // At most the transfer size, which has 32 bits.
  execution.completion.completed = static_cast<uint32_t>(execution.done);
}

Step stream(Execution& execution, GuestAccess& memory, Budget& budget, std::span<const StreamOperand> operands,
            Kernel kernel) {
  for (;;) {
    if (const Step step = settleSending(execution, memory, operands); step != Step::yield) return step;
    if (execution.done == execution.descriptor.size()) {
      execution.completion.status = kStatusSuccess;
      return Step::finished;
    }
    if (budget.spent()) return Step::yield;

    std::array<Piece, GuestAccess::kSlots> pieces;
    uint64_t length = budget.bytes();
    if (const Step step = acquire(execution, memory, operands, pieces, length); step != Step::yield) return step;

    std::array<std::byte*, GuestAccess::kSlots> pointers{};
    for (unsigned slot = 0; slot < operands.size(); ++slot) {
      const Piece& piece = pieces[slot];
      const bool atEnd = execution.walk == Walk::backward && !(piece.message && operands[slot].write);
      pointers[slot] = piece.pointer + (atEnd ? piece.length - length : 0);
    }
    const uint64_t good = kernel(execution, pointers.data(), length);
    budget.take(length);

    const StreamOperand* broken = nullptr;
    for (unsigned slot = 0; slot < operands.size(); ++slot) {
      const StreamOperand& operand = operands[slot];
      const bool whole = memory.finish(pieces[slot], pointers[slot], length, operand.write);
      if (!whole && broken == nullptr) broken = &operand;
    }
    if (broken != nullptr) {
      faultAt(execution, *broken);
      return Step::finished;
    }
    if (good < length) {
      execution.done += good;
      execution.differs = true;
      execution.completion.status = kStatusSuccess;
      return Step::finished;
    }
    for (unsigned slot = 0; slot < operands.size(); ++slot) {
      if (!operands[slot].write || !pieces[slot].message) continue;
      const Place place = placeOf(execution, operands[slot]);
      const uint64_t address = execution.walk == Walk::forward ? place.address : place.address - length;
      execution.sending = static_cast<uint32_t>(length);
      memory.send(slot, address, execution.sending);
    }
    if (execution.sending == 0) execution.done += length;
  }
}

}  // namespace mdev::dsa
