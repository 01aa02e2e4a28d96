#include "io_event_fds_object.h"

#include <napi.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "arguments_object.h"
#include "base/eventfd.h"

namespace mdev {

/// An ioeventfd, and whether it waits for the next turn.
struct IoEventFds::Served {
  const std::shared_ptr<IoEventFd> signal;
  bool waits = false;
};

class IoEventFds::Turn {
 public:
  explicit Turn(uv_loop_t* loop) : loop_(loop) {}

  /// Does a part of the writes that were signalled, unless the turn has taken its time: then the descriptor stays
  /// readable for the next one, and comes first there, after those that wait already. The loop alone would always call
  /// the same ones first.
  void serve(const std::shared_ptr<Served>& called) {
    begin();
    bool done = false;
    while (count_ > 0 && goesOn()) {
      const std::shared_ptr<Served> next = std::move(waiting_[first_]);
      first_ = (first_ + 1) % kMost;
      --count_;
      next->waits = false;
      done = done || next == called;
      write(*next->signal);
    }
    if (done || called->waits) return;
    if (goesOn()) {
      write(*called->signal);
    } else {
      called->waits = true;
      waiting_[(first_ + count_++) % kMost] = called;
    }
  }

  /// Nothing is written while it is stopped. Those that wait do so until it goes on.
  void setStopped(bool stopped) { stopped_ = stopped; }

 private:
  static constexpr std::chrono::milliseconds kTime{1};
  /// Writes between two looks at the clock.
  static constexpr uint32_t kAtOnce = 8;

  void begin() {
    // Not told by the loop's clock: whoever sets a timer moves that.
    uv_metrics_t metrics;
    if (uv_metrics_info(loop_, &metrics) != 0 || metrics.loop_count == turn_) return;
    turn_ = metrics.loop_count;
    end_ = std::chrono::steady_clock::now() + kTime;
  }
  bool goesOn() const { return !stopped_ && std::chrono::steady_clock::now() < end_; }
  void write(IoEventFd& signal) const {
    for (uint32_t done = 0; done < IoEventFd::kWritesPerTurn; done += kAtOnce) {
      if (signal.serve(kAtOnce) < kAtOnce || !goesOn()) return;
    }
  }

  uv_loop_t* const loop_;
  /// Not the number of any turn.
  uint64_t turn_ = UINT64_MAX;
  std::chrono::steady_clock::time_point end_;
  bool stopped_ = false;
  /// Those that found no time, oldest first, each once: `count_` of them from `first_` on.
  std::array<std::shared_ptr<Served>, kMost> waiting_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
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
      turn_->setStopped(events() == 0);
    }
    auto served = std::make_shared<Served>(signal);
    auto poll = std::make_unique<Poll>(env, signal->fd(), [served, turn = turn_](int, int) { turn->serve(served); });
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
  if (turn_ != nullptr) turn_->setStopped(events() == 0);
  for (const Watched& watched : all_) watched.poll->watch(events());
}

void IoEventFds::close() {
  for (const Watched& watched : all_) watched.signal->close();
  all_.clear();
  // With those that wait.
  turn_.reset();
}

}  // namespace mdev
