// A stream on a libuv loop.
#pragma once

#include <functional>
#include <memory>

#include "base/foreign_fd.h"
#include "transport/transport.h"

typedef struct uv_loop_s uv_loop_t;

namespace mdev {

/// Waits with uv_poll and uses plain system calls: works wherever libuv works.
class UvPollTransport final : public Transport {
 public:
  /// `loop` belongs to the owner thread. It must run until `released` is called, once, some time after `close`: then
  /// the transport has no handles on the loop any more. The socket's closer closes what is received, too.
  UvPollTransport(uv_loop_t* loop, ForeignFd socket, std::function<void()> released);
  ~UvPollTransport() override;

  void start(std::shared_ptr<TransportUser> user) override;
  void wake() override;
  void setDeadline(std::chrono::milliseconds time) override;
  void close() override;
  void setShared(bool shared) override;
  int descriptor() const override;
  bool peerGone() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mdev
