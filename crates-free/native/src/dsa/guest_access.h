// Guest memory as an operation sees it: piece by piece, mapped or fetched by message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "dsa/staging.h"
#include "dsa/suspended_write.h"
#include "memory/bounce_buffer.h"
#include "memory/dma_space.h"
#include "memory/message_dma.h"
#include "memory/waker.h"

namespace mdev::dsa {

/// A contiguous piece of an operand.
struct Piece {
  std::byte* pointer = nullptr;
  uint64_t length = 0;
  /// `pointer` is a bounce buffer's: what is written there still has to be sent.
  bool message = false;
  /// Of a mapped piece: its guest address, and the owner of its memory. Not as a Translation, which would be copied in
  /// larger pieces than it was just written in, and wait for all that the processor is still writing.
  uint64_t iova = 0;
  const MemoryFile* file = nullptr;
};

enum class AccessResult : uint8_t {
  ready,
  fault,
  parked,  ///< a message is on its way: come back when nothing is outstanding
};

/// Direction in which an operand is walked.
enum class Walk : uint8_t { forward, backward };

/// The operands of one descriptor. One engine thread at a time, inside its epoch guard; pieces are valid until the
/// guard ends.
class GuestAccess {
 public:
  /// Operands that an operation has at once.
  static constexpr unsigned kSlots = 3;

  /// Without buffers.
  GuestAccess() = default;

  /// From now on for this device, this engine and this owner's descriptor, which outlive its use. Nothing may be
  /// outstanding, and the buffers are there.
  void begin(const DmaSpace& dma, const std::shared_ptr<Waker>& waker, const MessageOwner& owner, uint64_t sequence);
  /// Makes the buffers that are missing. False when there is no memory for them: it may be tried again. Until then only
  /// `sent`, `mayHaveArrived`, `outstanding`, `save` and `restore` may be asked.
  bool makeBuffers() noexcept;
  /// What was fetched before is void: another descriptor begins.
  void forget();
  /// What the engine is told by, and whose the requests are, as `begin`; what the slots hold is kept.
  void attach(const DmaSpace& dma, const std::shared_ptr<Waker>& waker, const MessageOwner& owner, uint64_t sequence);
  /// Requests that were cancelled because the device was suspended are made again: what was to be read will be fetched
  /// when it is asked for, what was to be written goes out as it was, piece by piece where the memory is of another
  /// kind now. True when that is done; false: once more when nothing is outstanding. Inside an epoch guard.
  bool retry();
  /// A cancelled write counts as carried out.
  void takeAsArrived(unsigned slot) { slots_[slot].buffer->setError(0); }
  /// What is left of writes by message; what was fetched is fetched again. What was sent from the slot `arrived`, if
  /// one is named, counts as carried out. Nothing is outstanding. Throws std::bad_alloc.
  template <typename Archive>
  void save(Archive& archive, std::optional<unsigned> arrived = std::nullopt) const {
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      SuspendedWrite left;
      if (slot == arrived) {
        left.outcome = SuspendedWrite::Outcome::arrived;
      } else {
        left = suspendedWrite(slots_[slot]);
      }
      SuspendedWrite::exchange(left, archive);
    }
  }
  template <typename Archive>
  void restore(Archive& archive) {
    for (Slot& slot : slots_) SuspendedWrite::exchange(slot.restored, archive);
  }

  /// As DmaSpace::translate or translateBackward; the maps found last are found faster.
  Translation translate(Walk walk, uint64_t address, uint64_t length, uint32_t rights);
  /// The piece that begins at `address` (forward) or ends before it (backward), of at most `length` > 0 bytes.
  AccessResult read(unsigned slot, Walk walk, uint64_t address, uint64_t length, Piece& piece);
  /// As `read`; the piece may be written. A message piece's bytes go into its buffer from the front, whatever the
  /// direction.
  AccessResult write(unsigned slot, Walk walk, uint64_t address, uint64_t length, Piece& piece);
  /// Ends the use of a piece: of its bytes, `length` from `from` on were read, or written. False when they are void.
  /// True for a message's, which has not been carried out yet.
  bool finish(const Piece& piece, const std::byte* from, uint64_t length, bool wrote) const {
    const Translation place{.kind = Translation::Kind::mapped,
                            .iova = piece.iova,
                            .pointer = piece.pointer,
                            .length = piece.length,
                            .file = piece.file};
    return piece.message || dma_->finish(place, from, length, wrote);
  }
  /// Sends the slot's first `count` bytes to `address`.
  void send(unsigned slot, uint64_t address, uint32_t count);
  /// How `send` ended.
  AccessResult sent(unsigned slot) const;
  /// What was sent was given up, not answered.
  bool wasCancelled(unsigned slot) const;
  /// The client may have carried out what was sent, even if it was cancelled later.
  bool mayHaveArrived(unsigned slot) const {
    const Slot& own = slots_[slot];
    return own.buffer != nullptr && own.buffer->issued > 0;
  }

  /// Where something is mapped at `address`, or null. Only to be fetched ahead: what is there may go at any moment.
  const std::byte* hintOf(uint64_t address);
  /// Brings the first `bytes` of what is mapped at `address`, or the cache line of a record to be written, nearer. A
  /// hint: has no effect but on time, and wrong addresses do no harm.
  void prefetchOperand(uint64_t address, uint64_t bytes);
  void prefetchRecord(uint64_t address);

  /// Some reply is missing.
  bool outstanding() const;
  const DmaSpace& dma() const { return *dma_; }
  std::byte* buffer(unsigned slot) { return slots_[slot].buffer->data.data(); }
  Staging& staging() { return staging_; }
  const Staging& staging() const { return staging_; }

 private:
  enum class Content : uint8_t { none, reading, data, writing };
  struct Slot {
    std::shared_ptr<BounceBuffer> buffer;
    Content content = Content::none;
    /// Of a write that is made again: bytes in the buffer behind those that have been sent.
    uint32_t rest = 0;
    /// Until there is a buffer.
    SuspendedWrite restored;
  };
  static SuspendedWrite suspendedWrite(const Slot& slot);
  bool sendAgain(Slot& slot);
  void submit(Slot& slot);
  /// A request of this slot is not answered. The buffer is not looked into for those that are not used.
  static bool busy(const Slot& slot) {
    return (slot.content == Content::reading || slot.content == Content::writing) && slot.buffer->busy();
  }

  std::array<Slot, kSlots> slots_;
  IovaCache found_;
  const DmaSpace* dma_ = nullptr;
  /// Where the engine has it: only a message takes a share in it.
  const std::shared_ptr<Waker>* waker_ = nullptr;
  const MessageOwner* owner_ = nullptr;
  uint64_t sequence_ = 0;
  Staging staging_;
};

}  // namespace mdev::dsa
