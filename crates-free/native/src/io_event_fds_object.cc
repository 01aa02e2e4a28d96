#include "io_event_fds_object.h"

#include <napi.h>
#include <uv.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "arguments_object.h"
#include "base/eventfd.h"

namespace mdev {

class IoEventFds::Turn {
 public:
  explicit Turn(uv_loop_t* loop) : loop_(loop) {}

  /// Does a part of the writes that were signalled, unless the turn has taken its time: then the descriptor stays
  /// readable for the next one.
  void serve(IoEventFd& signal) {
    // The loop looks at the clock once a turn.
    const uint64_t turn = uv_now(loop_);
    const auto now = std::chrono::steady_clock::now();
    if (turn != turn_) {
      turn_ = turn;
      end_ = now + kTime;
    }
    if (now >= end_) return;
    for (uint32_t done = 0; done < IoEventFd::kWritesPerTurn; done += kAtOnce) {
      if (signal.serve(kAtOnce) < kAtOnce || std::chrono::steady_clock::now() >= end_) return;
    }
  }

 private:
  static constexpr std::chrono::milliseconds kTime{1};
  /// Writes between two looks at the clock.
  static constexpr uint32_t kAtOnce = 8;

  uv_loop_t* const loop_;
  /// Not the time of any loop.
  uint64_t turn_ = UINT64_MAX;
  std::chrono::steady_clock::time_point end_;
};

int IoEventFds::add(napi_env env, std::shared_ptr<DeviceCore> core, uint32_t region, uint64_t offset,
                    std::span<const std::byte> value, FileDescriptor given) {
  if (all_.size() == kMost) {
    throw Napi::RangeError::New(env, "more than " + std::to_string(kMost) + " ioeventfds of one client");
  }
  if (value.empty() || value.size() > IoEventFd::kMaxValue) {
    throw Napi::RangeError::New(env, "value has " + std::to_string(value.size()) + " bytes; expected 1 to " +
                                         std::to_string(IoEventFd::kMaxValue));
  }
  if (given && !isEventfd(given.get())) throw Napi::TypeError::New(env, "fd is no eventfd");
  try {
    auto signal = std::make_shared<IoEventFd>(std::move(core), region, offset, value, std::move(given));
    // The callback keeps it while it runs: a write may end the connection.
    if (turn_ == nullptr) {
      uv_loop_s* loop = nullptr;
      if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env);
      turn_ = std::make_shared<Turn>(loop);
    }
    auto poll = std::make_unique<Poll>(env, signal->fd(), [signal, turn = turn_](int, int) { turn->serve(*signal); });
    poll->setReferenced(false);
    if (const int error = poll->watch(events()); error != 0) throwSystemError(env, -error, "uv_poll");
    const int fd = signal->fd();
    all_.push_back({std::move(signal), std::move(poll)});
    return fd;
  } catch (const std::system_error& error) {
    throwSystemError(env, error.code().value(), "eventfd");
  }
}

bool IoEventFds::serve() {
  if (paused_ || held_) return true;
  // Copies: a write may end the connection.
  std::vector<std::shared_ptr<IoEventFd>> signals;
  for (const Watched& watched : all_) signals.push_back(watched.signal);
  uint32_t left = kMostWritesAtOnce;
  // In turns: one that never ends keeps no other from being heard.
  for (bool more = true; more && left > 0;) {
    more = false;
    for (const std::shared_ptr<IoEventFd>& signal : signals) {
      const uint32_t some = std::min(left, IoEventFd::kWritesPerTurn);
      const uint32_t done = signal->serve(some);
      left -= done;
      more = more || done == some;
    }
  }
  return left > 0;
}

void IoEventFds::setPaused(bool paused) {
  paused_ = paused;
  watch();
}

void IoEventFds::setHeld(bool held) {
  held_ = held;
  watch();
}

int IoEventFds::events() const { return paused_ || held_ ? 0 : UV_READABLE; }

void IoEventFds::watch() {
  for (const Watched& watched : all_) watched.poll->watch(events());
}

void IoEventFds::close() {
  for (const Watched& watched : all_) watched.signal->close();
  all_.clear();
}

}  // namespace mdev
