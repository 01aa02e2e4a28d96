// The second socket of a connection, for what the server asks of the client (twin_socket of VERSION).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vfio_user/dma_messenger.h"
#include "vfio_user/message_stream.h"

namespace mdev::vfio_user {

/// Carries DMA_READ and DMA_WRITE to the client, and their replies back, nothing else.
class TwinStream final : public MessageStream {
 public:
  /// What the stream belongs to. Outlives it, or closes it. Owner thread.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// The client broke the rules, or hung up.
    virtual void twinFailed(const std::string& reason) = 0;
    virtual void twinRoundBegan() = 0;
    virtual void twinRoundEnded() = 0;
  };

  TwinStream(std::unique_ptr<Transport> transport, std::shared_ptr<DmaMessenger> dma, std::weak_ptr<Owner> owner);

  /// Any thread, while the stream is open: the messenger has something to send.
  void wake() { transport_->wake(); }

  /// While paused nothing is read, served or sent.
  void setPaused(bool paused);
  /// The twin's part of a handover; paused.
  void save(HandoverWriter& archive);
  /// Before `start`; paused from then on.
  void restore(HandoverReader& archive);
  using MessageStream::letGo;

  void roundBegan() override;
  std::span<std::byte> receiveRoom() override;
  /// Nothing on the twin socket carries fds: the first one ends the connection.
  void received(std::size_t size, std::vector<ForeignFd> fds) override;
  Turn turn() override;
  Outgoing toSend() override;
  void roundEnded() override;

 private:
  /// Null, or why the connection cannot go on.
  const char* serve(const Message& message);
  void sendRequests();
  void fail(const char* reason);
  void onClosed(const std::string& reason) override;

  const std::shared_ptr<DmaMessenger> dma_;
  const std::weak_ptr<Owner> owner_;
  bool paused_ = false;
};

}  // namespace mdev::vfio_user
