// Guest memory by message: DMA_READ and DMA_WRITE towards the client.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/handover_archive.h"
#include "memory/queued_dma.h"
#include "transport/output_queue.h"
#include "vfio_user/protocol.h"

namespace mdev::vfio_user {

/// Turns requests into messages of at most the client's max_data_xfer_size, and replies into their ends.
///
/// At most 16 messages and 256 KiB of data are on the wire at a time, the rest waits. A message whose request was
/// cancelled counts no more, but keeps its id until its reply has come and was dropped. Never allocates for a request,
/// except in the output.
class DmaMessenger final : public QueuedDma {
 public:
  static constexpr std::size_t kMaxOnWire = 16;
  static constexpr uint64_t kMaxBytesOnWire = 256 * 1024;
  /// Replies to cancelled messages that a client may owe: one that owes so many is asked for nothing more until it has
  /// answered.
  static constexpr uint32_t kMaxOwed = 4096;
  /// Messages are added to an output of at most so many bytes: what is cancelled there must not pile up.
  static constexpr uint64_t kMaxUnsent = kMaxBytesOnWire + 64 * 1024;

  /// `wake` is called on the submitting thread when there is something new for `fill`; it must not block.
  explicit DmaMessenger(std::function<void()> wake);

  /// Replaces the `wake` of the constructor, before anything is submitted.
  using QueuedDma::setWake;
  /// Largest `count` of one message, bytes, at least 1.
  void setMaxTransfer(uint32_t bytes) { maxTransfer_ = bytes; }
  /// Appends the messages that may go on the wire now.
  void fill(OutputQueue& output);
  /// The last `fill` stopped because of what the output held: call it again when that is sent.
  bool starved() const { return starved_; }
  /// A reply of the client. Returns null, or why the connection cannot go on.
  const char* reply(const Header& header, std::span<const std::byte> body);

  /// Neither a request nor a message is outstanding; the client may still owe replies to what was cancelled.
  bool settled();
  /// Which replies the client owes, and the id that is next. Requests are not part of it: cancel them before.
  void save(HandoverWriter& archive) const;
  /// Goes on for another messenger, before anything is submitted.
  void restore(HandoverReader& archive);

 private:
  /// A message on the wire, of a request that is not over.
  struct Piece {
    uint16_t id;
    bool write;
    uint64_t address;
    uint32_t count;
    /// Position in the request's data.
    uint32_t offset;
    MessageRequest* request;
  };
  uint16_t freeId();
  const char* replyOwed(const Header& header);
  /// The client owes the replies to the requests' messages.
  void forget(const Selection& selection, MessageList& over) override;

  uint32_t maxTransfer_ = 1;
  std::vector<Piece> onWire_;
  uint64_t bytesOnWire_ = 0;
  uint16_t nextId_ = 0;
  bool starved_ = false;

  /// Bit n: the reply with this id is owed, and whether its message was a DMA_WRITE.
  std::bitset<65536> owed_;
  std::bitset<65536> owedWrites_;
  uint32_t owedCount_ = 0;
};

}  // namespace mdev::vfio_user
