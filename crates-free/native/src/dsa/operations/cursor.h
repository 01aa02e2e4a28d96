// Where an operation is in one of its operands.
#pragma once

#include <cstdint>

#include "dsa/execution.h"

namespace mdev::dsa {

/// What an operand is.
struct Operand {
  /// Where the descriptor has its address.
  uint8_t field;
  bool write;
  FaultOperand name;
};

/// An operand on its way: a place in it, and the piece of guest memory there, whatever that lies in. Cursors of one
/// descriptor move independently, so an operation may read n bytes here and write m there. Made anew for each turn, at
/// the place that the operation's state says.
class Cursor {
 public:
  /// Nowhere: to be assigned before anything else. Not cleared, because a turn makes an array of them.
  Cursor() {}
  /// In the direction of the walk, `done` of the operand's `size` bytes lie behind it. Each of a descriptor's cursors
  /// has a slot of the guest access for itself.
  Cursor(const Descriptor& descriptor, const Operand& operand, unsigned slot, uint64_t size, uint64_t done,
         Walk walk = Walk::forward)
      : operand_(&operand),
        slot_(slot),
        walk_(walk),
        base_(descriptor.at<uint64_t>(operand.field)),
        size_(size),
        done_(done) {}

  const Operand& operand() const { return *operand_; }
  uint64_t left() const { return size_ - done_; }
  /// The byte that a fault here is reported at.
  uint64_t faultAddress() const;
  /// Finds the piece here, of at most `most` > 0 bytes. A transfer that runs over the end of the address space faults
  /// there.
  AccessResult acquire(GuestAccess& memory, uint64_t most);
  /// Bytes of the piece.
  uint64_t available() const { return piece_.length; }
  /// The next `length` bytes of the piece.
  std::byte* bytes(uint64_t length) const {
    // What goes out by message begins at the front of its buffer.
    const bool atEnd = walk_ == Walk::backward && !sends();
    return piece_.pointer + (atEnd ? piece_.length - length : 0);
  }
  /// Ends the use of the next `length` bytes of the piece; false when they are void.
  bool release(const GuestAccess& memory, uint64_t length) const {
    return memory.finish(piece_, bytes(length), length, operand_->write);
  }
  /// What was written to the piece has to be sent, and counts when that is answered.
  bool sends() const { return piece_.message && operand_->write; }
  void send(GuestAccess& memory, uint32_t length) const;
  AccessResult sent(const GuestAccess& memory) const { return memory.sent(slot_); }
  void advance(uint64_t length) { done_ += length; }
  void seek(uint64_t done) { done_ = done; }

 private:
  /// The next byte (forward), or the end of what is left (backward).
  uint64_t address() const { return base_ + (walk_ == Walk::forward ? done_ : left()); }

  const Operand* operand_;
  unsigned slot_;
  Walk walk_;
  uint64_t base_;
  uint64_t size_;
  uint64_t done_;
  Piece piece_;
};

/// Ends with a page fault at `address`, after `done`.
void fault(Execution& execution, uint64_t address, FaultOperand operand, bool write);
/// Ends with a page fault where the cursor is.
void fault(Execution& execution, const Cursor& cursor);

}  // namespace mdev::dsa
