// A device with one client on a stream in memory, driven by the test.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "vfio_user/connection.h"
#include "vfio_user_support.h"

namespace vfio_user_test {

using namespace mdev;
using namespace mdev::vfio_user;

inline constexpr uint64_t kRegionSize = 2 * 1024 * 1024;
inline constexpr uint16_t kGetInfo = 4;
/// Accesses to this page go to the trap handler.
inline constexpr uint64_t kTrapPage = 0x3000;

/// A stream in memory, driven by the test.
class FakeTransport : public Transport {
 public:
  void start(std::shared_ptr<TransportUser> user) override { user_ = std::move(user); }
  void wake() override { woken.store(true); }
  void setDeadline(std::chrono::milliseconds time) override {
    CHECK(deadline.count() == 0 && open());
    deadline = time;
  }
  void close() override { user_.reset(); }
  void setShared(bool nowShared) override { shared = nowShared; }
  int descriptor() const override { return -1; }
  bool peerGone() const override { return false; }

  bool open() const { return user_ != nullptr; }

  /// One round, as a level-triggered transport does it: at most `most` bytes
  /// in, at most `takes` bytes out.
  Turn round(std::size_t most = SIZE_MAX, std::size_t takes = SIZE_MAX) {
    const auto user = user_;
    if (user == nullptr) return Turn::idle;
    woken.store(false);
    user->roundBegan();
    if (!more) {
      const auto room = user->receiveRoom();
      if (!room.empty() && !input.empty()) {
        auto [size, fds] = input.read(room.first(std::min(room.size(), most)));
        user->received(size, std::move(fds));
      }
    }
    if (user_ != nullptr) more = user->turn() == Turn::more;
    while (user_ != nullptr && takes > 0) {
      const Outgoing next = user->toSend();
      if (next.bytes.empty()) break;
      const std::size_t size = std::min(next.bytes.size(), takes);
      append(output, next.bytes.first(size));
      user->sent(size);
      takes -= size;
    }
    user->roundEnded();
    return more ? Turn::more : Turn::idle;
  }
  void runDry() {
    while (open() && (!input.empty() || more || woken.load())) round();
  }
  /// Time passes.
  void overdue() {
    const auto user = user_;
    if (user == nullptr) return;
    user->roundBegan();
    user->overdue();
    user->roundEnded();
  }
  void hangUp() {
    const auto user = user_;
    if (user == nullptr) return;
    user->roundBegan();
    user->ended("gone");
    user->roundEnded();
  }

  Stream input;
  Bytes output;
  bool more = false;
  std::atomic<bool> woken{false};
  bool shared = false;
  /// What was set, or 0.
  std::chrono::milliseconds deadline{0};

 private:
  std::shared_ptr<TransportUser> user_;
};

/// Memory, except one page.
class Port final : public RegionPort {
 public:
  Served read(uint64_t offset, std::span<std::byte> data) override {
    ++reads;
    if (offset / 4096 == kTrapPage / 4096) return Served::trap;
    std::memcpy(data.data(), memory.data() + offset, data.size());
    return Served::done;
  }
  Served write(uint64_t offset, std::span<const std::byte> data, const Arrival&) override {
    if (offset / 4096 == kTrapPage / 4096) return Served::trap;
    std::memcpy(memory.data() + offset, data.data(), data.size());
    ++unflushed;
    return Served::done;
  }
  void flush() override {
    ++flushes;
    unflushed = 0;
  }
  void clientGone() override { ++gone; }
  Bytes memory = Bytes(kRegionSize);
  std::size_t reads = 0;
  std::size_t gone = 0;
  /// Writes that no engine would have heard of.
  std::size_t unflushed = 0;
  std::size_t flushes = 0;
};

class Trap final : public TrapHandler {
 public:
  int access(uint32_t, uint64_t, std::span<std::byte>, bool) override {
    ++accesses;
    entered();
    if (hook) hook();
    return error;
  }
  int reset() override { return 0; }
  /// JavaScript may take long: nothing may wait for its end.
  std::function<void()> entered;
  std::function<void()> hook;
  int error = 0;
  int accesses = 0;
};

/// Calls what was signalled when the test lets it.
class FakeLoop {
 public:
  std::unique_ptr<LoopSignal> signal(std::function<void()> called) {
    return std::make_unique<Signal>(state_, std::move(called));
  }
  bool signalled() const { return state_->sent.load(); }
  bool waiting() const { return state_->called != nullptr; }
  void run() {
    if (!state_->sent.exchange(false)) return;
    const auto called = state_->called;
    if (called) called();
  }

 private:
  struct State {
    std::atomic<bool> sent{false};
    std::function<void()> called;
  };
  struct Signal final : LoopSignal {
    Signal(std::shared_ptr<State> shared, std::function<void()> function) : state(std::move(shared)) {
      state->called = std::move(function);
    }
    ~Signal() override { state->called = nullptr; }
    void send() override { state->sent.store(true); }
    const std::shared_ptr<State> state;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class Handler final : public ConnectionHandler {
 public:
  int message(uint16_t command, std::span<const std::byte> body, std::vector<std::byte>& reply) override {
    ++messages;
    entered();
    if (later) return kLater;
    if (fails) return kFailed;
    if (command == kCommandVersion) {
      if (onVersion) onVersion();
      reply.assign(body.begin(), body.end());
      return 0;
    }
    if (command == kCommandDeviceReset) ++resets;
    if (command == kCommandDeviceFeature) ++features;
    if (command != kGetInfo && command != kCommandDeviceReset && command != kCommandDeviceFeature) return EINVAL;
    reply.resize(16);
    return 0;
  }
  int refused(uint16_t, int) override {
    ++refusals;
    entered();
    return failsRefused ? kFailed : 0;
  }
  void closed(const std::string& why) override {
    CHECK(!isClosed);
    entered();
    isClosed = true;
    reason = why;
  }
  void roundBegan() override {}
  void roundEnded() override {}
  std::unique_ptr<LoopSignal> signal(std::function<void()> called) override { return loop.signal(std::move(called)); }

  FakeLoop loop;
  std::function<void()> entered;
  std::function<void()> onVersion;
  bool later = false;
  bool fails = false;
  bool failsRefused = false;
  bool isClosed = false;
  std::string reason;
  int messages = 0;
  int refusals = 0;
  int resets = 0;
  int features = 0;
};

/// A device and one client of it.
class Bench {
 public:
  explicit Bench(bool negotiate = true, uint32_t maxTransfer = kMaxTransfer, bool writeMultiple = false) {
    core->setEnforceMemoryDecode(false);
    core->setRegion(0, kRegionSize, 3, port);
    core->setRegion(1, 4096, 1, nullptr);
    core->interrupts().setCount(2, 8);
    core->setTrapHandler(&trap);
    trap.entered = handler->entered = [this] { CHECK_EQUAL(port->unflushed, 0u); };
    core->dma()->setBusMaster(true);
    auto own = std::make_unique<FakeTransport>();
    transport = own.get();
    connection = std::make_shared<Connection>(core, std::move(own), handler);
    handler->onVersion = [this, maxTransfer, writeMultiple] {
      connection->negotiated({.maxTransfer = maxTransfer, .writeMultiple = writeMultiple, .twin = nullptr});
    };
    connection->start();
    if (negotiate) {
      ask(message(99, kCommandVersion, Bytes(4)));
      transport->output.clear();
    }
  }
  ~Bench() {
    handler->onVersion = nullptr;
    connection->close("the test is over");
  }

  void ask(Bytes bytes, std::vector<FileDescriptor> fds = {}) {
    transport->input.send(std::move(bytes), std::move(fds));
    transport->runDry();
    CHECK_EQUAL(port->unflushed, 0u);
  }

  struct Reply {
    Header header;
    Bytes body;
  };
  /// The messages sent so far, whole ones only.
  std::vector<Reply> replies() {
    std::vector<Reply> list;
    std::size_t at = 0;
    const Bytes& bytes = transport->output;
    while (bytes.size() - at >= sizeof(Header)) {
      const auto header = decode<Header>(std::span(bytes).subspan(at));
      CHECK(header.size >= sizeof(Header) && header.size <= kMaxMessage);
      CHECK(header.size <= bytes.size() - at);
      list.push_back({header, Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(at + sizeof(Header)),
                                    bytes.begin() + static_cast<std::ptrdiff_t>(at + header.size))});
      at += header.size;
    }
    CHECK_EQUAL(at, bytes.size());
    transport->output.clear();
    return list;
  }
  uint32_t errorOf(Bytes bytes, std::vector<FileDescriptor> fds = {}) {
    ask(std::move(bytes), std::move(fds));
    const auto list = replies();
    CHECK_EQUAL(list.size(), 1u);
    const bool failed = (list[0].header.flags & kError) != 0;
    CHECK_EQUAL(list[0].header.flags, failed ? kTypeReply | kError : kTypeReply);
    if (failed) CHECK(list[0].body.empty() && list[0].header.error != 0);
    return failed ? list[0].header.error : 0;
  }

  std::shared_ptr<DeviceCore> core = std::make_shared<DeviceCore>();
  std::shared_ptr<Port> port = std::make_shared<Port>();
  Trap trap;
  std::shared_ptr<Handler> handler = std::make_shared<Handler>();
  FakeTransport* transport = nullptr;
  std::shared_ptr<Connection> connection;
};

inline Bytes regionRead(uint16_t id, uint64_t offset, uint32_t count, uint32_t region = 0, uint32_t flags = 0) {
  return message(id, kCommandRegionRead, RegionBody{offset, region, count}, flags);
}

inline Bytes regionWrite(uint16_t id, uint64_t offset, const Bytes& data, uint32_t region = 0, uint32_t flags = 0) {
  Bytes body;
  append(body, encoded(RegionBody{offset, region, static_cast<uint32_t>(data.size())}));
  append(body, data);
  return message(id, kCommandRegionWrite, body, flags);
}

inline Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}

inline std::vector<FileDescriptor> one(FileDescriptor fd) {
  std::vector<FileDescriptor> list;
  list.push_back(std::move(fd));
  return list;
}

}  // namespace vfio_user_test
