// The ioeventfds of one client, on its event loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/file_descriptor.h"
#include "core/io_event_fd.h"
#include "poll_object.h"

namespace mdev {

class DeviceCore;

/// They are the client's: they end with its connection, whoever still holds a duplicate. Only for the thread of `env`.
class IoEventFds {
 public:
  /// Gives the descriptor of a new one, which stays this object's. `given`, unless it is empty, is one of another
  /// process for the same. Throws a Napi::Error for a value of no bytes or too many, what is no eventfd, and one too
  /// many.
  int add(napi_env env, std::shared_ptr<DeviceCore> core, uint32_t region, uint64_t offset,
          std::span<const std::byte> value, FileDescriptor given);

  /// Writes what was signalled, of all together at most kMostWritesAtOnce. Whether that was everything, or all that may
  /// be written now.
  bool serve();

  /// While paused they keep their signals: this process is not the one to serve them.
  void setPaused(bool paused);
  /// The same, because their device has stopped.
  void setHeld(bool held);

  void close();

 private:
  /// The poll goes first: it watches the descriptor.
  struct Watched {
    std::shared_ptr<IoEventFd> signal;
    std::unique_ptr<Poll> poll;
  };
  struct Served;
  /// All of one client's share a turn of the loop: each may be signalled without end, and there may be many of them.
  class Turn;
  static constexpr std::size_t kMost = 512;
  /// Then others get a turn.
  static constexpr uint32_t kMostWritesAtOnce = 1024;

  /// What to wait for, as uv_poll says it.
  int events() const;
  void watch();

  std::shared_ptr<Turn> turn_;
  std::vector<Watched> all_;
  bool paused_ = false;
  bool held_ = false;
};

}  // namespace mdev
