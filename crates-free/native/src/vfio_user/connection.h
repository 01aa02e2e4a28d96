// One client of one device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device_core.h"
#include "transport/output_queue.h"
#include "transport/transport.h"
#include "vfio_user/dma_messenger.h"
#include "vfio_user/framer.h"

namespace mdev::vfio_user {

/// Answers what C++ does not. Owner thread; any call may close the connection.
class ConnectionHandler {
 public:
  /// Not an errno: the message stays first in line, and comes again after `Connection::resume` at the latest.
  static constexpr int kLater = -1;
  /// Not an errno: the handler itself failed. The client is told EIO, and the connection ends.
  static constexpr int kFailed = -2;

  virtual ~ConnectionHandler() = default;
  /// A command that C++ does not serve. Returns 0 with the body of the reply in `reply`, an errno, kLater or kFailed.
  virtual int message(uint16_t command, std::span<const std::byte> body, std::vector<std::byte>& reply) = 0;
  /// A message was refused; called for the first one of each command only. 0 or kFailed.
  virtual int refused(uint16_t command, int error) = 0;
  /// Once, at the end; the device is free again.
  virtual void closed(const std::string& reason) = 0;
  /// Around everything that a transport lets the connection do; `roundEnded` comes when the replies are on their way,
  /// and also after `closed`.
  virtual void roundBegan() = 0;
  virtual void roundEnded() = 0;
};

/// Serves vfio-user on one stream: REGION_READ, REGION_WRITE, DMA_MAP, DMA_UNMAP, SET_IRQS and the replies to DMA_READ
/// and DMA_WRITE itself, everything else through the handler. Before `negotiated`, only VERSION is legal, and nothing
/// may carry fds. Replies keep the order of the requests. A client that brings fds while too many of this device's wait
/// to be closed is cut off.
///
/// Owned by shared_ptr; owner thread only.
class Connection final : public TransportUser, public std::enable_shared_from_this<Connection> {
 public:
  /// A round ends after this many messages, or bytes copied.
  static constexpr uint32_t kRoundMessages = 256;
  static constexpr uint64_t kRoundBytes = 64 * 1024;
  /// With more than this waiting to be sent, nothing is read or served: the client does not take its replies. More than
  /// DMA requests can be (DmaMessenger::kMaxBytesOnWire), so that a client that is itself waiting to send is still
  /// read.
  static constexpr std::size_t kMaxOutput = 512 * 1024;

  Connection(std::shared_ptr<DeviceCore> core, std::unique_ptr<Transport> transport,
             std::shared_ptr<ConnectionHandler> handler);
  ~Connection() override;

  /// Throws std::system_error when the socket cannot be watched.
  void start();
  /// The version is agreed: the client holds the device from now on. `maxTransfer` is its max_data_xfer_size, 1 or
  /// more.
  void negotiated(uint32_t maxTransfer);
  /// The message that was answered with kLater is due again.
  void resume();
  /// Serves nothing more, and closes when what is answered was offered to the socket.
  void finish(const std::string& reason);
  /// Closes at once. The client's maps and eventfds go.
  void close(const std::string& reason);
  bool peerGone() const { return transport_->peerGone(); }
  bool isOpen() const { return !closed_; }

  void roundBegan() override;
  std::span<std::byte> receiveRoom() override;
  void received(std::size_t size, std::vector<ForeignFd> fds) override;
  Turn turn() override;
  Outgoing toSend() override;
  void sent(std::size_t size) override;
  void ended(const std::string& reason) override;
  void roundEnded() override;

 private:
  Turn serveMessages();
  bool inBudget() const { return messages_ < kRoundMessages && copied_ < kRoundBytes; }
  /// The message to be served: the one that was begun, or the next whole one. False when there is none.
  bool takeMessage();
  /// False: the message is not finished, this turn is over.
  bool serve();
  bool serveFirst();
  bool serveRegion();
  bool serveHandler();
  void serveReply();
  /// DMA requests of engines and of the device, as far as they may go out now.
  void sendRequests();
  void dmaMap();
  void dmaUnmap();
  void setIrqs();

  /// The length of the next piece of a region access that began at `offset`, with `progress_` of `count` bytes done.
  uint32_t pieceOf(uint64_t offset, uint32_t count) const;
  void answer(std::span<const std::byte> body);
  /// Counts, and passes on.
  void refuse(int error);
  /// The error of a part of the device that counted it already.
  void passOn(int error);
  bool serving() const { return !closed_ && !finishing_ && output_.size() <= kMaxOutput; }

  const std::shared_ptr<DeviceCore> core_;
  const std::unique_ptr<Transport> transport_;
  const std::shared_ptr<ConnectionHandler> handler_;
  const std::shared_ptr<DmaMessenger> dma_;

  Framer framer_;
  OutputQueue output_;
  /// The message being served, with `progress_` bytes of its region access done.
  std::optional<Message> current_;
  uint32_t progress_ = 0;
  /// A reply in the making: nothing that a hook does can move it.
  std::vector<std::byte> reply_;
  /// Of this round.
  uint32_t messages_ = 0;
  uint64_t copied_ = 0;
  /// One bit a command: refused before.
  uint64_t refusedCommands_ = 0;

  bool negotiated_ = false;
  bool finishing_ = false;
  bool closed_ = false;
  std::string finishReason_;
};

}  // namespace mdev::vfio_user
