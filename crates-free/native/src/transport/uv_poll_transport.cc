#include "transport/uv_poll_transport.h"

#include <sys/socket.h>
#include <uv.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "transport/socket_io.h"

namespace mdev {

namespace {

/// Reads of one round: fds end a read, so a burst of messages with fds needs one each.
constexpr int kReadsPerRound = 16;
constexpr const char* kHungUp = "the other side closed the connection";

}  // namespace

/// What libuv's handles point to: lives until they are closed, whoever else lets go.
struct UvPollTransport::State : std::enable_shared_from_this<State> {
  State(uv_loop_t* ownLoop, ForeignFd ownSocket, std::function<void()> ownReleased)
      : loop(ownLoop), socket(std::move(ownSocket)), released(std::move(ownReleased)) {}

  void start(std::shared_ptr<TransportUser> newUser);
  void setDeadline(std::chrono::milliseconds time);
  void close();
  void hangUp();
  void release();
  void run(bool readable);
  /// One read. True when another one is likely to bring more.
  bool receive(TransportUser& current);
  void flush(TransportUser& current);
  /// Watches for what is due next.
  void update(TransportUser& current);
  static void onIdle(uv_idle_t* handle);
  static void onPoll(uv_poll_t* handle, int status, int happened);

  uv_loop_t* const loop;
  ForeignFd socket;
  /// Null once it was called.
  std::function<void()> released;
  std::shared_ptr<TransportUser> user;
  uv_poll_t poll{};
  uv_async_t async{};
  uv_idle_t idle{};
  /// Used while its data is set.
  uv_timer_t deadline{};
  /// Holds itself while libuv holds its handles.
  std::shared_ptr<State> self;
  int openHandles = 0;
  /// Between start and close: `async` may be used.
  std::atomic<bool> open = false;
  int events = 0;
  /// The user has work left for another round.
  bool more = false;
  /// The socket takes nothing more for now.
  bool blocked = false;
  /// The socket takes nothing any more; what it still holds is read all the same.
  bool deaf = false;
  /// libuv refuses to watch the socket: it has an error, behind the bytes that it still holds.
  bool failed = false;
  /// Another process has the socket, too.
  bool shared = false;
  /// The deadline has come, and the user has not heard of it yet.
  bool overdue = false;
};

void UvPollTransport::State::start(std::shared_ptr<TransportUser> newUser) {
  if (const int error = uv_poll_init(loop, &poll, socket.get()); error != 0) {
    throw std::system_error(-error, std::generic_category(), "cannot watch the socket");
  }
  takeUrgentInLine(socket.get());
  user = std::move(newUser);
  self = shared_from_this();
  openHandles = 1;
  poll.data = this;
  uv_idle_init(loop, &idle);
  idle.data = this;
  ++openHandles;
  if (const int error =
          uv_async_init(loop, &async, [](uv_async_t* handle) { static_cast<State*>(handle->data)->run(false); });
      error != 0) {
    async.data = nullptr;
    close();
    throw std::system_error(-error, std::generic_category(), "cannot wake the event loop");
  }
  async.data = this;
  ++openHandles;
  open = true;
  // The connection keeps the process alive, the way to wake it does not.
  uv_unref(reinterpret_cast<uv_handle_t*>(&async));
  update(*user);
}

void UvPollTransport::State::setDeadline(std::chrono::milliseconds time) {
  if (user == nullptr || deadline.data != nullptr) return;
  uv_timer_init(loop, &deadline);
  deadline.data = this;
  ++openHandles;
  // Counted from now, not from when the loop last looked at the clock.
  uv_update_time(loop);
  uv_timer_start(
      &deadline,
      [](uv_timer_t* handle) {
        auto* state = static_cast<State*>(handle->data);
        state->overdue = true;
        state->run(false);
      },
      static_cast<uint64_t>(time.count()), 0);
}

void UvPollTransport::State::close() {
  if (user == nullptr) {
    hangUp();
    if (openHandles == 0) release();
    return;
  }
  open = false;
  user.reset();
  const auto closed = [](uv_handle_t* handle) {
    auto* state = static_cast<State*>(handle->data);
    if (--state->openHandles != 0) return;
    const std::shared_ptr<State> last = std::move(state->self);
    last->release();
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&poll), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle), closed);
  if (deadline.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&deadline), closed);
  if (async.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&async), closed);
  // libuv has forgotten the descriptor by now.
  hangUp();
}

/// The other side is told at once. Closing may take a while: it drops what was never read, with the descriptors in it.
void UvPollTransport::State::hangUp() {
  if (socket && !shared) ::shutdown(socket.get(), SHUT_RDWR);
  socket.reset();
}

void UvPollTransport::State::release() {
  if (released) std::exchange(released, nullptr)();
}

void UvPollTransport::State::run(bool readable) {
  const std::shared_ptr<State> keptState = shared_from_this();
  const std::shared_ptr<TransportUser> current = user;
  if (current == nullptr) return;
  current->roundBegan();
  if (std::exchange(overdue, false)) current->overdue();
  if (user != nullptr && blocked) flush(*current);
  bool again = readable && !more;
  for (int reads = 0; user != nullptr; ++reads) {
    again = again && reads < kReadsPerRound && receive(*current);
    if (user == nullptr) break;
    more = current->turn() == Turn::more;
    if (!again || more) break;
  }
  if (user != nullptr) flush(*current);
  // A user that reads nothing would never find the end of the stream.
  if (user != nullptr && failed && !more && current->receiveRoom().empty()) current->ended(kHungUp);
  current->roundEnded();
  if (user != nullptr) update(*current);
}

bool UvPollTransport::State::receive(TransportUser& current) {
  const std::span<std::byte> room = current.receiveRoom();
  if (room.empty()) return false;
  ReceiveResult result = receiveOnce(socket.get(), room, socket.closer());
  if (result.size == -EAGAIN && !failed) return false;
  if (result.size <= 0) {
    const bool hungUp = result.size == 0 || result.size == -EAGAIN || result.size == -ECONNRESET;
    current.ended(hungUp ? kHungUp : std::strerror(static_cast<int>(-result.size)));
    return false;
  }
  if (result.truncated) {
    current.ended("file descriptors were lost: this process has too many open");
    return false;
  }
  const bool likelyMore = static_cast<std::size_t>(result.size) == room.size() || !result.fds.empty();
  current.received(static_cast<std::size_t>(result.size), std::move(result.fds));
  return likelyMore;
}

void UvPollTransport::State::flush(TransportUser& current) {
  blocked = false;
  for (Outgoing next = current.toSend(); !next.bytes.empty(); next = current.toSend()) {
    const ssize_t size = deaf ? static_cast<ssize_t>(next.bytes.size()) : sendOnce(socket.get(), next.bytes, next.fds);
    if (size == -EAGAIN) {
      blocked = true;
      return;
    }
    if (size < 0) {
      deaf = true;
    } else {
      current.sent(static_cast<std::size_t>(size));
    }
  }
}

void UvPollTransport::State::update(TransportUser& current) {
  const bool turnNow = more && !blocked;
  // What is watched stays as it is between two turns: changing it costs more than a call that does nothing.
  if (!turnNow && !failed) {
    int wanted = blocked ? UV_WRITABLE : 0;
    if (!more && !current.receiveRoom().empty()) wanted |= UV_READABLE;
    if (wanted == 0) wanted = UV_DISCONNECT;
    if (wanted != events) {
      events = wanted;
      failed = uv_poll_start(&poll, events, onPoll) != 0;
    }
  }
  if (turnNow || failed) {
    uv_idle_start(&idle, onIdle);
  } else {
    uv_idle_stop(&idle);
  }
}

void UvPollTransport::State::onIdle(uv_idle_t* handle) {
  auto* state = static_cast<State*>(handle->data);
  state->run(state->failed);
}

void UvPollTransport::State::onPoll(uv_poll_t* handle, int status, int happened) {
  const std::shared_ptr<State> state = static_cast<State*>(handle->data)->shared_from_this();
  if (status < 0) {
    state->failed = true;
    state->run(true);
    return;
  }
  // Between two turns the idle handle goes on.
  if (state->more && !state->blocked) return;
  state->run((happened & (UV_READABLE | UV_DISCONNECT)) != 0);
  // A user that reads nothing would never find the end of the stream.
  if ((happened & UV_DISCONNECT) != 0 && state->user != nullptr && state->events == UV_DISCONNECT) {
    const std::shared_ptr<TransportUser> current = state->user;
    current->roundBegan();
    current->ended(kHungUp);
    current->roundEnded();
  }
}

UvPollTransport::UvPollTransport(uv_loop_t* loop, ForeignFd socket, std::function<void()> released)
    : state_(std::make_shared<State>(loop, std::move(socket), std::move(released))) {}

UvPollTransport::~UvPollTransport() { state_->close(); }

void UvPollTransport::start(std::shared_ptr<TransportUser> user) { state_->start(std::move(user)); }

void UvPollTransport::wake() {
  if (state_->open) uv_async_send(&state_->async);
}

void UvPollTransport::setDeadline(std::chrono::milliseconds time) { state_->setDeadline(time); }

void UvPollTransport::close() { state_->close(); }

void UvPollTransport::setShared(bool shared) { state_->shared = shared; }

int UvPollTransport::descriptor() const { return state_->socket.get(); }

bool UvPollTransport::peerGone() const { return state_->socket && peerHungUp(state_->socket.get()); }

}  // namespace mdev
