// One client of one device.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/loop_signal.h"
#include "core/device_core.h"
#include "memory/reader_exclusion.h"
#include "vfio_user/dma_messenger.h"
#include "vfio_user/message_stream.h"
#include "vfio_user/twin_stream.h"

namespace mdev::vfio_user {

/// Answers what C++ does not. Any call may close the connection.
class ConnectionHandler : public StreamHandler {
 public:
  /// Not an errno: the message stays first in line until `Connection::answer` or `Connection::refuse`.
  static constexpr int kLater = -1;
  /// Not an errno: the handler itself failed. The client is told EIO, and the connection ends.
  static constexpr int kFailed = -2;

  /// A command that C++ does not serve. Returns 0 with the body of the reply in `reply`, an errno, kLater or kFailed.
  /// May answer itself before it returns; then the result does not matter.
  virtual int message(uint16_t command, std::span<const std::byte> body, std::vector<std::byte>& reply) = 0;
  /// A message was refused; called for the first one of each command only. 0 or kFailed.
  virtual int refused(uint16_t command, int error) = 0;
  /// A way to have `called` called on this thread, outside of every call; null when its event loop has ended.
  virtual std::unique_ptr<LoopSignal> signal(std::function<void()> called) = 0;
};

/// What VERSION agreed on, as far as C++ has to keep it.
struct Agreement {
  /// The client's max_data_xfer_size, bytes, 1 or more.
  uint32_t maxTransfer = kMaxTransfer;
  /// REGION_WRITE_MULTI is legal.
  bool writeMultiple = false;
  /// Our end of the twin socket, or null.
  std::unique_ptr<Transport> twin;
};

/// Serves vfio-user on one stream: REGION_READ, REGION_WRITE, REGION_WRITE_MULTI, DMA_MAP, DMA_UNMAP, SET_IRQS and the
/// replies to DMA_READ and DMA_WRITE itself, everything else through the handler. Before `negotiated`, only VERSION is
/// legal, and nothing may carry fds. Replies keep the order of the requests. A client that brings fds while too many of
/// this device's wait to be closed is cut off.
///
/// While the handler has not answered a message, the client's replies behind it are served all the same: the handler
/// may be waiting for what they complete. Commands behind it wait. One of those replies that breaks the protocol ends
/// the connection in its turn: what the client sent in front of it is answered first, and nothing behind it is looked
/// at.
///
/// A command that would wait for engines to leave the client's memory (DMA_UNMAP, DEVICE_RESET, writes to config space,
/// DEVICE_FEATURE that sets something) stays first in line until they have, and engines that come meanwhile are turned
/// away. The end of the client is told when they have left, too: until then it holds the device.
class Connection final : public MessageStream, public TwinStream::Owner {
 public:
  /// A round ends after this many bytes copied.
  static constexpr uint64_t kRoundBytes = 64 * 1024;
  /// A round ends with the message during which this time has passed since its first one that may take long: whatever
  /// waits for engines, makes system calls or runs JavaScript.
  static constexpr std::chrono::milliseconds kRoundTime{1};
  /// A client that broke the protocol, or whose handler failed, is gone after this time, whether it has taken what it
  /// is owed or not.
  static constexpr std::chrono::seconds kFarewell{5};
  /// With more than this waiting to be sent, nothing is read or served: the client does not take its replies. More than
  /// DMA requests can be (DmaMessenger::kMaxBytesOnWire), so that a client that is itself waiting to send is still
  /// read.
  static constexpr std::size_t kMaxOutput = 512 * 1024;
  /// Bytes that are read at most while the handler owes an answer: replies behind more than that are not found.
  static constexpr std::size_t kMaxHeld = kMaxMessage + DmaMessenger::kMaxBytesOnWire;

  Connection(std::shared_ptr<DeviceCore> core, std::unique_ptr<Transport> transport,
             std::shared_ptr<ConnectionHandler> handler);
  ~Connection() override;

  /// The version is agreed: the client holds the device from now on. Throws std::system_error when the twin socket
  /// cannot be watched.
  void negotiated(Agreement agreement);
  /// Answers the message that the handler was asked about; `fds` go with the reply. Without such a message nothing
  /// happens.
  void answer(std::span<const std::byte> body, std::vector<FileDescriptor> fds);
  /// The same with a positive errno.
  void refuse(int error);
  /// Serves nothing more, and closes when the socket has taken what is answered; after `kFarewell` also when it has
  /// not.
  void finish(const std::string& reason);
  const std::shared_ptr<DeviceCore>& core() const { return core_; }
  /// True when the client has hung up, even if bytes of it are still unread, or is about to be gone.
  bool peerGone() const { return end_.has_value() || MessageStream::peerGone(); }

  // --- Handover: another process goes on with the client, who notices nothing; handover_connection.cc. ---

  /// Begins no further command. What has begun comes to its end, and replies to DMA requests are served.
  void suspend();
  /// While suspended: no message is half served, and no answer is owed.
  bool settled() const { return !current_ && !asked_ && !finishing_ && broken_ == nullptr; }
  /// No DMA request is outstanding.
  bool requestsSettled() { return dma_->settled(); }
  /// What the successor needs beside the device, the agreement and the sockets; only while suspended and settled.
  /// Nothing is read, served or sent any more; DMA requests that are outstanding are cancelled, and the client's late
  /// replies are the successor's to drop.
  void save(HandoverWriter& archive);
  /// Goes on as if nothing had been; after `restore`, begins.
  void resume();
  /// Closes without the client's noticing. The device keeps its maps and eventfds. The handler hears `closed`.
  void handedOver();
  /// Takes the place of the connection that was saved, before `start`. Until `resume`, nothing is read, served or sent.
  /// False: the state is of no use, and neither is this connection. `agreement` is nothing for a client that has not
  /// negotiated. Throws std::system_error when the twin socket cannot be watched.
  bool restore(HandoverReader& archive, std::optional<Agreement> agreement);
  /// The twin socket, which stays the connection's; -1 when there is none.
  int twinDescriptor() const { return twin_ == nullptr ? -1 : twin_->descriptor(); }

  void roundBegan() override;
  std::span<std::byte> receiveRoom() override;
  void received(std::size_t size, std::vector<ForeignFd> fds) override;
  Turn turn() override;
  Outgoing toSend() override;
  void overdue() override { overdue_ = true; }
  void roundEnded() override;

  void twinFailed(const std::string& reason) override;
  void twinRoundBegan() override { handler_->roundBegan(); }
  void twinRoundEnded() override { handler_->roundEnded(); }

 private:
  /// What is served.
  enum class Service : uint8_t {
    all,
    replies,  ///< what has begun, and replies to DMA requests
    nothing,
  };
  /// The client has the device from now on, as agreed.
  void join();
  bool repliesOnly() const { return waiting_ || (negotiated_ && service_ == Service::replies && !current_); }
  Turn serveMessages();
  bool inBudget() const { return messages_ < kRoundMessages && copied_ < kRoundBytes && !late_; }
  /// Looks at the clock if the message that was served may have taken long, or has run JavaScript.
  void watchTime(uint64_t trapsBefore);
  /// Serves messages in order, until there is none, one has to wait, or the budget is used up.
  void serveInOrder();
  /// The message to be served: the one that was begun, or the next whole one. False when there is none.
  bool takeMessage();
  /// The message that was served leaves the line.
  void dropMessage();
  /// False: the message is not finished, this turn is over.
  bool serve();
  bool serveCommand();
  bool serveFirst();
  bool serveRegion();
  bool serveRegionWriteMulti();
  bool serveHandler();
  /// Null, or why the connection cannot go on.
  const char* serveReply(const Message& message);
  /// Replies behind a message that waits for the handler.
  void serveRepliesBehind();
  /// The reply that was taken from behind a message broke a rule.
  void breakOff(const char* reason);
  /// DMA requests of engines and of the device, as far as they may go out now.
  void sendRequests();
  void askNoMore();
  bool holdsDevice() const;

  // connection_readers.cc
  bool writesConfigSpace() const;
  /// Whether serving the message waits for engines that use the client's memory.
  bool needsReadersOut() const;
  /// The message can be served without waiting. False: another turn begins when it may be so.
  bool mayServe();
  void endLater(const std::string& reason);
  void end(const std::string& reason);

  void dmaMap();
  void dmaUnmap();
  void dmaUnmapReporting(const DmaUnmapBody& body);
  void setIrqs();

  /// Whether [offset, offset + count) of a region may be accessed in that direction.
  bool isLegal(uint32_t region, uint64_t offset, uint32_t count, uint32_t right) const;
  /// The length of the next piece of a region access that began at `offset`, with `progress_` of `count` bytes done.
  uint32_t pieceOf(uint64_t offset, uint32_t count) const;
  void reply(std::span<const std::byte> body, std::vector<FileDescriptor> fds = {});
  /// Counts, and passes on.
  void reject(int error);
  /// The error of a part of the device that counted it already.
  void replyError(int error);
  void passOn(int error);
  /// The handler's answer is out.
  void answered();
  /// The client broke a rule that no reply can tell.
  void blame(const char* reason);
  bool serving() const { return !closed_ && !finishing_ && output_.size() <= kMaxOutput; }
  void onClosed(const std::string& reason) override;

  const std::shared_ptr<DeviceCore> core_;
  const std::shared_ptr<ConnectionHandler> handler_;
  const std::shared_ptr<DmaMessenger> dma_;
  std::shared_ptr<TwinStream> twin_;
  Agreement agreement_;

  /// The message being served, with `progress_` bytes of its region access done, or as many of its writes.
  std::optional<Message> current_;
  uint32_t progress_ = 0;
  /// A reply in the making: nothing that a hook does can move it.
  std::vector<std::byte> reply_;
  uint64_t copied_ = 0;
  /// When a message that may take long was first served in this round.
  std::optional<std::chrono::steady_clock::time_point> slowSince_;
  /// The message that is served may take long: it is no plain access to a region.
  bool slow_ = false;
  /// The round has taken its time.
  bool late_ = false;
  /// One bit a command: refused before.
  uint64_t refusedCommands_ = 0;

  bool negotiated_ = false;
  /// Whom the device knows it as, once it is negotiated.
  uint64_t client_ = 0;
  /// The handler owes an answer to the message being served.
  bool asked_ = false;
  /// It has returned without one.
  bool waiting_ = false;
  bool finishing_ = false;
  /// The connection ends for this reason when what is left in line is answered; null otherwise.
  const char* broken_ = nullptr;
  /// `kFarewell` is over.
  bool overdue_ = false;
  Service service_ = Service::all;
  std::string finishReason_;
  /// While the message being served needs the client's memory to be left alone.
  std::optional<ReaderExclusion> exclusion_;
  /// What `end_` tells: outlives it.
  std::unique_ptr<LoopSignal> endSignal_;
  /// While the client's end waits for that.
  std::optional<ReaderExclusion> end_;
};

}  // namespace mdev::vfio_user
