#include "dsa/operations/stream.h"

#include <algorithm>
#include <array>

#include "dsa/status.h"

namespace mdev::dsa {
namespace {

void advance(Execution& execution, std::span<Cursor> cursors, uint64_t length) {
  execution.done += length;
  for (Cursor& cursor : cursors) cursor.advance(length);
}

/// Takes up what was being sent by message. `finished` here means that it failed.
Step settleSending(Execution& execution, const GuestAccess& memory, std::span<Cursor> cursors) {
  if (execution.sending == 0) return Step::yield;
  if (memory.outstanding()) return Step::parked;
  for (const Cursor& cursor : cursors) {
    if (cursor.operand().write && cursor.sent(memory) == AccessResult::fault) {
      fault(execution, cursor);
      return Step::finished;
    }
  }
  advance(execution, cursors, execution.sending);
  execution.sending = 0;
  return Step::yield;
}

/// Finds the next piece of every operand; `length` becomes what they have in common. `finished` means a fault, `yield`
/// that the pieces are there.
Step acquire(Execution& execution, GuestAccess& memory, std::span<Cursor> cursors, uint64_t& length) {
  const uint64_t wanted = std::min(cursors[0].left(), kChunk);
  bool parked = false;
  for (Cursor& cursor : cursors) {
    const AccessResult result = cursor.acquire(memory, wanted);
    if (result == AccessResult::fault) {
      // What is on its way for an earlier operand has to arrive first: it may fail too, and counts before this.
      if (parked) return Step::parked;
      fault(execution, cursor);
      return Step::finished;
    }
    if (result == AccessResult::parked) parked = true;
    if (result == AccessResult::ready) length = std::min(length, cursor.available());
  }
  return parked ? Step::parked : Step::yield;
}

}  // namespace

Step stream(Execution& execution, GuestAccess& memory, Budget& budget, std::span<const Operand> operands, Kernel kernel,
            Walk walk) {
  std::array<Cursor, GuestAccess::kSlots> places;
  const std::span<Cursor> cursors(places.data(), operands.size());
  for (unsigned slot = 0; slot < operands.size(); ++slot) {
    places[slot] =
        Cursor(execution.descriptor, operands[slot], slot, execution.descriptor.size(), execution.done, walk);
  }
  for (;;) {
    if (const Step step = settleSending(execution, memory, cursors); step != Step::yield) return step;
    if (cursors[0].left() == 0) {
      execution.completion.status = kStatusSuccess;
      return Step::finished;
    }
    if (budget.spent()) return Step::yield;

    uint64_t length = budget.bytes();
    if (const Step step = acquire(execution, memory, cursors, length); step != Step::yield) return step;

    std::array<std::byte*, GuestAccess::kSlots> pointers{};
    for (unsigned slot = 0; slot < operands.size(); ++slot) pointers[slot] = cursors[slot].bytes(length);
    const uint64_t good = kernel(execution, pointers.data(), length);
    budget.take(length);

    const Cursor* broken = nullptr;
    for (const Cursor& cursor : cursors) {
      if (!cursor.release(memory, length) && broken == nullptr) broken = &cursor;
    }
    if (broken != nullptr) {
      fault(execution, *broken);
      return Step::finished;
    }
    if (good < length) {
      execution.done += good;
      execution.completion.status = kStatusSuccess;
      return Step::finished;
    }
    for (const Cursor& cursor : cursors) {
      if (!cursor.sends()) continue;
      execution.sending = static_cast<uint32_t>(length);
      cursor.send(memory, execution.sending);
    }
    if (execution.sending == 0) advance(execution, cursors, length);
  }
}

}  // namespace mdev::dsa
