// How other threads reach the event loop of an owner thread.
#pragma once

namespace mdev {

/// Has the owner thread's event loop call a function. Owner thread, except `send`.
class LoopSignal {
 public:
  /// The function is not called any more. The function itself may do that.
  virtual ~LoopSignal() = default;
  /// Any thread. Several may become one call.
  virtual void send() = 0;
};

}  // namespace mdev
