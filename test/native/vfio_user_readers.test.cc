// clang-format off
// sources: vfio_user/*.cc transport/input_buffer.cc transport/output_queue.cc transport/socket_io.cc core/*.cc registers/*.cc irq/*.cc memory/*.cc base/*.cc
// sanitize: thread
// clang-format on
//
// A client whose memory is slow: an engine stays in it for as long as the test wants. Whatever that client asks for,
// and however it leaves, the thread goes on and serves the other instances.
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "vfio_user_bench.h"

using namespace vfio_user_test;

namespace {

constexpr uint64_t kIova = 0x10000;
constexpr uint64_t kSize = 0x4000;
constexpr uint32_t kConfig = kRegionConfig;

/// An engine at a chunk in the memory of a device. Its thread ends with it.
class SlowEngine {
 public:
  explicit SlowEngine(const DeviceCore& core)
      : space_(core.dma()), thread_([this] {
          EpochDomain::Reader reader;
          const EpochGuard guard(reader, space_->epochs());
          const Translation piece = space_->translate(kIova, 1, kDmaRead);
          in_.store(piece.kind == Translation::Kind::mapped ? 1 : 2);
          in_.notify_all();
          leave_.wait(false);
          // Nobody has taken it away: the sanitizer would tell.
          if (in_.load() == 1) byte_ = *piece.pointer;
        }) {
    in_.wait(0);
  }
  ~SlowEngine() { leave(); }
  void leave() {
    if (!thread_.joinable()) return;
    leave_.store(true);
    leave_.notify_all();
    thread_.join();
  }

 private:
  const std::shared_ptr<DmaSpace> space_;
  std::atomic<int> in_{0};
  std::atomic<bool> leave_{false};
  std::byte byte_{};
  std::thread thread_;
};

/// Whether an engine that comes now would be let in.
bool admits(const DeviceCore& core) {
  bool result = false;
  std::thread([&] {
    EpochDomain::Reader reader;
    const EpochGuard guard(reader, core.dma()->epochs());
    result = !core.dma()->epochs().turnsAway();
  }).join();
  return result;
}

Bytes dmaMap(uint16_t id) {
  return message(id, kCommandDmaMap, DmaMapBody{sizeof(DmaMapBody), kDmaMapRead | kDmaMapWrite, 0, kIova, kSize});
}

struct SlowBench : Bench {
  SlowBench() : Bench(true, kMaxTransfer, true) {
    core->setRegion(kConfig, 4096, 3, port);
    FileDescriptor file = newFile();
    CHECK(::ftruncate(file.get(), kSize) == 0);
    CHECK_EQUAL(errorOf(dmaMap(1), one(std::move(file))), 0u);
    CHECK_EQUAL(core->dma()->mappings(), 1u);
  }
  /// More rounds than a thread that stalls would survive.
  void turns() {
    for (int n = 0; n < 20; ++n) transport->round();
  }
};

void answersAtOnce(Bench& other, uint16_t id) {
  // In one round: nothing that another instance waits for keeps it.
  other.transport->input.send(regionRead(id, 0, 4));
  other.transport->round();
  const auto replies = other.replies();
  CHECK_EQUAL(replies.size(), 1u);
  CHECK_EQUAL(replies[0].header.id, id);
}

struct Request {
  const char* name;
  Bytes bytes;
  /// Its error, and whether it was done.
  uint32_t error;
  std::function<bool(SlowBench&)> done;
};

std::vector<Request> requests() {
  const auto unmapped = [](SlowBench& bench) { return bench.core->dma()->mappings() == 0; };
  const auto written = [](SlowBench& bench) { return bench.port->memory[4] == std::byte{0x5a}; };
  const DmaUnmapBody range{sizeof(DmaUnmapBody), 0, kIova, kSize};
  Bytes reporting;
  append(reporting,
         encoded(DmaUnmapBody{sizeof(DmaUnmapBody) + sizeof(DirtyBitmapBody) + 8, kDmaUnmapDirty, kIova, kSize}));
  append(reporting, encoded(DirtyBitmapBody{4096, 8}));
  Bytes multi;
  RegionWriteEntry entry{};
  entry.offset = 4;
  entry.region = kConfig;
  entry.count = 1;
  entry.data[0] = 0x5a;
  append(multi, encoded(uint64_t{1}));
  append(multi, encoded(entry));
  return {
      {"unmap", message(2, kCommandDmaUnmap, range), 0, unmapped},
      {"unmap that reports", message(2, kCommandDmaUnmap, reporting), 0, unmapped},
      {"unmap all", message(2, kCommandDmaUnmap, DmaUnmapBody{sizeof(DmaUnmapBody), kDmaUnmapAll, 0, 0}), 0, unmapped},
      {"reset", message(2, kCommandDeviceReset), 0, [](SlowBench& bench) { return bench.handler->resets == 1; }},
      {"config space", regionWrite(2, 4, {std::byte{0x5a}}, kConfig), 0, written},
      {"config space, several", message(2, kCommandRegionWriteMulti, multi), 0, written},
      {"feature", message(2, kCommandDeviceFeature, DeviceFeatureBody{8, kDeviceFeatureSet | 6}), 0,
       [](SlowBench& bench) { return bench.handler->features == 1; }},
  };
}

void requestsWaitWithoutTheThread() {
  for (const Request& request : requests()) {
    std::printf("%s\n", request.name);
    SlowBench slow;
    Bench other;
    if (std::string(request.name) == "unmap that reports") CHECK_EQUAL(slow.core->dma()->startDirtyLog(4096, {}), 0);
    SlowEngine engine(*slow.core);
    slow.transport->input.send(request.bytes + regionRead(3, 0, 4) + regionRead(4, 0, 4));
    slow.turns();
    answersAtOnce(other, 7);
    slow.turns();
    // Neither done nor answered, nor what is behind it; and no engine comes in meanwhile.
    CHECK(!request.done(slow));
    CHECK(slow.replies().empty());
    CHECK(!admits(*slow.core));
    CHECK(!slow.connection->settled());
    CHECK(!slow.transport->woken.load());
    answersAtOnce(other, 8);

    engine.leave();
    // Told, not asked for.
    CHECK(slow.transport->woken.load());
    slow.transport->runDry();
    CHECK(request.done(slow));
    const auto replies = slow.replies();
    CHECK_EQUAL(replies.size(), 3u);
    for (uint16_t n = 0; n < 3; ++n) CHECK_EQUAL(replies[n].header.id, n + 2);
    CHECK_EQUAL(replies[0].header.error, request.error);
    CHECK(admits(*slow.core));
    // Nothing is left of it.
    slow.turns();
    CHECK(!slow.transport->woken.load());
  }
}

void withoutSlowEnginesNothingWaits() {
  for (const Request& request : requests()) {
    SlowBench bench;
    Bench other;
    if (std::string(request.name) == "unmap that reports") CHECK_EQUAL(bench.core->dma()->startDirtyLog(4096, {}), 0);
    // Engines of other instances do not matter.
    SlowEngine engine(*other.core);
    bench.transport->input.send(request.bytes);
    bench.transport->round();
    CHECK(request.done(bench));
    CHECK_EQUAL(bench.replies().size(), 1u);
    CHECK(admits(*bench.core));
  }
}

void othersRequestsDoNotWait() {
  SlowBench slow;
  SlowEngine engine(*slow.core);
  // Registers, maps, what is asked for, and what is malformed.
  slow.transport->input.send(
      regionWrite(2, 4, Bytes(4)) + regionRead(3, 0, 4, kConfig) +
      message(4, kCommandDeviceFeature, DeviceFeatureBody{8, (1 << 16) | 6}) +
      message(5, kCommandDeviceFeature, DeviceFeatureBody{8, kDeviceFeatureSet | kDeviceFeatureProbe}) +
      message(6, kCommandDeviceFeature, Bytes(4)) + message(7, kCommandRegionWrite, Bytes(4)) +
      message(8, kCommandRegionWriteMulti, Bytes(4)));
  slow.turns();
  CHECK_EQUAL(slow.replies().size(), 7u);
  CHECK(admits(*slow.core));
}

enum class Leaving { alone, withRequest, closed };

void theEndOfAClientWaitsWithoutTheThread() {
  for (const Leaving how : {Leaving::alone, Leaving::withRequest, Leaving::closed}) {
    SlowBench slow;
    Bench other;
    std::optional<SlowEngine> engine(std::in_place, *slow.core);
    if (how == Leaving::withRequest) {
      slow.transport->input.send(message(2, kCommandDmaUnmap, DmaUnmapBody{sizeof(DmaUnmapBody), 0, kIova, kSize}));
      slow.turns();
      CHECK(slow.replies().empty());
    }
    if (how == Leaving::closed) {
      slow.connection->close("closed");
    } else {
      slow.transport->hangUp();
    }
    answersAtOnce(other, 7);
    // It holds the device, with what it brought, although nobody hears it any more.
    CHECK(!slow.connection->isOpen() && slow.connection->peerGone());
    CHECK(!slow.handler->isClosed);
    CHECK_EQUAL(slow.core->dma()->mappings(), 1u);
    CHECK(slow.handler->loop.waiting() && !slow.handler->loop.signalled());
    slow.connection->close("again");
    slow.connection->finish("again");
    CHECK(!slow.handler->isClosed);

    engine.reset();
    CHECK(slow.handler->loop.signalled());
    slow.handler->loop.run();
    CHECK(slow.handler->isClosed);
    CHECK(slow.handler->reason.starts_with(how == Leaving::closed ? "closed" : "gone"));
    CHECK_EQUAL(slow.core->dma()->mappings(), 0u);
    CHECK(!slow.handler->loop.waiting());
    CHECK(admits(*slow.core));
  }
}

/// Two readers leave one after the other: the first one's leaving is no news.
void oneReaderAfterTheOther() {
  SlowBench slow;
  std::optional<SlowEngine> first(std::in_place, *slow.core);
  std::optional<SlowEngine> second(std::in_place, *slow.core);
  slow.transport->input.send(message(2, kCommandDmaUnmap, DmaUnmapBody{sizeof(DmaUnmapBody), 0, kIova, kSize}));
  slow.turns();
  second.reset();
  slow.transport->runDry();
  CHECK(slow.replies().empty());
  first.reset();
  CHECK(slow.transport->woken.load());
  slow.transport->runDry();
  CHECK_EQUAL(slow.replies().size(), 1u);

  SlowBench leaver;
  first.emplace(*leaver.core);
  second.emplace(*leaver.core);
  leaver.transport->hangUp();
  first.reset();
  leaver.handler->loop.run();
  CHECK(!leaver.handler->isClosed);
  second.reset();
  leaver.handler->loop.run();
  CHECK(leaver.handler->isClosed);
}

/// Engines that leave while the thread is looking: no end is missed. Also what the sanitizer is here for.
void noLeavingIsMissed() {
  for (int round = 0; round < 300; ++round) {
    SlowBench slow;
    SlowEngine engine(*slow.core);
    std::thread leaver([&] { engine.leave(); });
    const bool hangsUp = round % 2 == 0;
    if (hangsUp) {
      slow.transport->hangUp();
    } else {
      slow.transport->input.send(message(2, kCommandDmaUnmap, DmaUnmapBody{sizeof(DmaUnmapBody), 0, kIova, kSize}));
      slow.transport->round();
    }
    leaver.join();
    if (hangsUp) {
      slow.handler->loop.run();
      CHECK(slow.handler->isClosed);
    } else {
      slow.transport->runDry();
      CHECK_EQUAL(slow.replies().size(), 1u);
    }
  }
}

}  // namespace

int main() {
  const int before = openFiles();
  requestsWaitWithoutTheThread();
  withoutSlowEnginesNothingWaits();
  othersRequestsDoNotWait();
  theEndOfAClientWaitsWithoutTheThread();
  oneReaderAfterTheOther();
  noLeavingIsMissed();
  CHECK_EQUAL(openFiles(), before);
}
