#include "dsa/operations/cursor.h"

#include "dsa/status.h"

namespace mdev::dsa {

uint64_t Cursor::faultAddress() const { return walk_ == Walk::forward ? address() : address() - 1; }

AccessResult Cursor::acquire(GuestAccess& memory, uint64_t most) {
  const uint64_t at = address();
  // Backward, an end of 0 is 2^64, which is no overrun.
  if (walk_ == Walk::forward ? at < base_ : at - 1 < base_) return AccessResult::fault;
  return operand_->write ? memory.write(slot_, walk_, at, most, piece_) : memory.read(slot_, walk_, at, most, piece_);
}

void Cursor::send(GuestAccess& memory, uint32_t length) const {
  memory.send(slot_, walk_ == Walk::forward ? address() : address() - length, length);
}

void fault(Execution& execution, uint64_t address, FaultOperand operand, bool write) {
  execution.completion.status = kStatusPageFault | (write ? kStatusFaultOnWrite : 0);
  execution.completion.faultAddress = address;
  execution.completion.faultOperand = operand;
  // At most the transfer size, which has 32 bits.
  execution.completion.completed = static_cast<uint32_t>(execution.done);
}

void fault(Execution& execution, const Cursor& cursor) {
  fault(execution, cursor.faultAddress(), cursor.operand().name, cursor.operand().write);
}

}  // namespace mdev::dsa
