// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Engines that end while they have descriptors: others go on where they stopped, or nobody until there is one. Memory
// by message holds descriptors in flight for as long as the test wants.
#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kMessages = 0x8000000000;
constexpr uint64_t kRecord = 0x1000;
constexpr uint64_t kData = 0x20000;
constexpr uint32_t kVector = 1;

struct Scene : Device {
  explicit Scene(unsigned engineCount) : behind(256), client(std::make_shared<Client>(behind, kMessages)) {
    mapAll();
    CHECK_EQUAL(dma->map(kMessages, behind.size(), kBoth, FileDescriptor(), 0), 0);
    dma->setMessageDma(client);
    memory.fill(kData, 0x100000, 1);
    addEngines(engineCount);
    enable(0, config());
  }
  ~Scene() {
    queues->reset();
    dma->setMessageDma(nullptr);
  }
  /// A move to memory behind the client: it waits for one answer for each 64 KiB.
  Build slow(uint64_t record, uint32_t size = 100000) const {
    return move(kBase + kData, kMessages, size).record(kBase + record).interrupt(kVector);
  }
  void awaitRequests(std::size_t count) const {
    await("requests by message", [&] { return client->waiting() == count; });
  }
  void closeEngine(std::size_t index) {
    engines[index]->close();
    engines.erase(engines.begin() + static_cast<std::ptrdiff_t>(index));
  }
  QueueRun& run() const { return *queues->queue(0).run(); }
  const QueueCounters& counters() const { return std::as_const(*queues).queue(0).counters(); }
  /// Nothing has been told, and nothing is lost.
  void checkWaits(uint32_t inFlight) const {
    CHECK_EQUAL(run().inFlight(), inFlight);
    CHECK_EQUAL(counters().abandoned.load(), 0u);
    CHECK_EQUAL(unsigned{memory.status(kRecord)}, 0u);
    CHECK_EQUAL(softwareError(0), 0u);
  }
  void checkMoved(uint32_t size = 100000) const {
    await("the record", [&] {
      client->answer();
      return memory.status(kRecord) != 0;
    });
    CHECK_EQUAL(unsigned{memory.status(kRecord)}, 1u);
    CHECK(std::memcmp(behind.at(0), memory.at(kData), size) == 0);
    awaitVector(kVector);
    CHECK_EQUAL(raised(kVector), 1u);
    await("the end", [&] { return run().inFlight() == 0; });
  }
  static QueueDevice::Command abortCommand(bool stop = false) {
    return {{0}, stop, true, {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {}}};
  }
  bool commandEnded() const { return (registers->word32(kRegisters.interruptCause).load() & 2) != 0; }

  GuestMemory behind;
  std::shared_ptr<Client> client;
};

enum class Answer { beforeTheEnd, withoutEngine, toTheNext };

/// The last engine of a group ends: its descriptor waits for the next one, whenever the client's answer comes.
void testNextEngine() {
  for (const Answer when : {Answer::beforeTheEnd, Answer::withoutEngine, Answer::toTheNext}) {
    Scene scene(1);
    scene.submit(0, scene.slow(kRecord));
    scene.submit(0, noOp().record(kBase + kRecord + 32));
    scene.awaitRequests(1);
    if (when == Answer::beforeTheEnd) {
      CHECK(scene.client->answer());
      scene.awaitRequests(1);
    }
    scene.closeEngine(0);
    scene.checkWaits(1);
    if (when == Answer::withoutEngine) CHECK(scene.client->answer());
    scene.checkWaits(1);
    scene.addEngines(1);
    scene.checkMoved();
    await("what waited", [&] { return scene.memory.status(kRecord + 32) != 0; });
    await("its end", [&] { return scene.run().inFlight() == 0; });
    // The answered half was not asked for again.
    uint64_t bytes = 0;
    for (const auto& entry : scene.client->log()) bytes += entry.count;
    CHECK_EQUAL(bytes, 100000u);
    CHECK_EQUAL(scene.counters().completed.load(), 2u);
    CHECK_EQUAL(scene.counters().abandoned.load(), 0u);
  }
}

/// An engine that has time takes over at once, and so does one of a group that the closing one left before.
void testOtherEngine() {
  for (const bool left : {false, true}) {
    Scene scene(1);
    scene.submit(0, scene.slow(kRecord));
    scene.awaitRequests(1);
    const auto first = scene.engines[0];
    scene.engines.clear();
    scene.engines.push_back(std::make_shared<Engine>("other"));
    scene.group->setEngines(left ? scene.engines : std::vector{first, scene.engines[0]});
    first->close();
    scene.checkMoved();
    CHECK_EQUAL(scene.counters().abandoned.load(), 0u);
  }
}

/// Chunks of mapped memory, with operands that overlap: a move that began anew would be seen.
void testMapped() {
  constexpr uint32_t kSize = 3 << 20;
  constexpr uint64_t kShift = 1000;
  uint32_t interrupted = 0;
  for (uint32_t attempt = 0; attempt < 1000 && interrupted < 10; ++attempt) {
    Scene scene(1);
    scene.memory.fill(kData, kSize, attempt);
    const std::vector<std::byte> wanted(scene.memory.at(kData), scene.memory.at(kData + kSize));
    scene.submit(0, move(kBase + kData, kBase + kData + kShift, kSize).record(kBase + kRecord));
    await("the beginning", [&] { return scene.counters().completed == 1 || scene.run().inFlight() == 1; });
    scene.closeEngine(0);
    if (scene.run().inFlight() == 1) ++interrupted;
    scene.addEngines(2);
    await("the record", [&] { return scene.memory.status(kRecord) != 0; });
    CHECK(std::memcmp(scene.memory.at(kData + kShift), wanted.data(), kSize) == 0);
    await("the end", [&] { return scene.counters().completed == 1; });
    CHECK_EQUAL(scene.counters().abandoned.load(), 0u);
  }
  CHECK(interrupted > 0);
}

/// Members of a batch run once each.
void testBatch() {
  Scene scene(1);
  constexpr uint64_t kList = 0x8000;
  for (uint32_t member = 0; member < 20; ++member) {
    const Build build = move(kBase + kData, kMessages + member * 100, 100).record(kBase + kRecord + 32 + member * 32);
    std::memcpy(scene.memory.at(kList + member * 64), build.descriptor().bytes.data(), 64);
  }
  scene.submit(0, batchOf(kBase + kList, 20).record(kBase + kRecord));
  for (uint32_t member = 0; member < 20; ++member) {
    scene.awaitRequests(1);
    if (member % 3 == 0) {
      scene.closeEngine(0);
      scene.checkWaits(1);
      if (member % 2 == 0) CHECK(scene.client->answer());
      scene.addEngines(1);
      if (member % 2 == 0) continue;
    }
    CHECK(scene.client->answer());
  }
  await("the batch", [&] { return scene.memory.status(kRecord) != 0; });
  CHECK_EQUAL(unsigned{scene.memory.status(kRecord)}, 1u);
  CHECK_EQUAL(scene.client->answered(), 20u);
}

/// A drain on the engine that is left waits for what the other one had: the engine takes that too.
void testDrainBehind() {
  Scene scene(1);
  scene.submit(0, scene.slow(kRecord));
  scene.awaitRequests(1);
  scene.addEngines(1);
  scene.submit(0, drain().record(kBase + kRecord + 32));
  await("the drain", [&] { return scene.run().inFlight() == 2; });
  scene.closeEngine(0);
  scene.checkMoved();
  await("the drain's record", [&] { return scene.memory.status(kRecord + 32) != 0; });
  await("the count", [&] { return scene.counters().completed == 2; });
}

/// An abort ends what no engine has, within the command: nobody else would.
void testAbortWithoutEngine() {
  Scene scene(1);
  scene.submit(0, scene.slow(kRecord));
  scene.awaitRequests(1);
  scene.closeEngine(0);
  CHECK(scene.queues->command(Scene::abortCommand()));
  CHECK(scene.commandEnded());
  CHECK_EQUAL(scene.client->waiting(), 0u);
  CHECK_EQUAL(scene.counters().abandoned.load(), 1u);
  CHECK_EQUAL(scene.run().inFlight(), 0u);
  CHECK_EQUAL(unsigned{scene.memory.status(kRecord)}, 0u);
  CHECK_EQUAL(scene.raised(kVector), 0u);
  scene.addEngines(1);
  CHECK_EQUAL(scene.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
}

/// The client may have written the record's status: for the guest the descriptor has ended, and so its interrupt comes.
void testAbortBehindRecord() {
  Scene scene(1);
  scene.submit(0, noOp().record(kMessages + 0x1000).interrupt(kVector));
  scene.awaitRequests(1);
  CHECK(scene.client->answer());
  scene.awaitRequests(1);
  scene.closeEngine(0);
  CHECK(scene.queues->command(Scene::abortCommand()));
  CHECK_EQUAL(scene.counters().completed.load(), 1u);
  CHECK_EQUAL(scene.counters().abandoned.load(), 0u);
  CHECK_EQUAL(scene.raised(kVector), 1u);
}

/// A command that waits ends when the next engine has ended what the last one left; a reset needs no engine.
void testCommandsWait() {
  for (const bool reset : {false, true}) {
    Scene scene(1);
    scene.submit(0, scene.slow(kRecord));
    scene.awaitRequests(1);
    scene.closeEngine(0);
    QueueDevice::Command stop = Scene::abortCommand(true);
    stop.abort = false;
    CHECK(!scene.queues->command(std::move(stop)));
    CHECK_THROWS(std::logic_error, scene.enable(0, Device::config()));
    if (reset) {
      scene.queues->reset();
      CHECK(!scene.queues->commandPending());
      CHECK_EQUAL(scene.client->waiting(), 0u);
      CHECK_EQUAL(scene.counters().abandoned.load(), 1u);
      scene.enable(0, Device::config());
      scene.addEngines(1);
      CHECK_EQUAL(scene.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
      CHECK(!scene.commandEnded());
    } else {
      scene.addEngines(1);
      scene.checkMoved();
      await("the command", [&] { return scene.commandEnded(); });
      scene.enable(0, Device::config());
    }
  }
}

/// A suspended device keeps what an engine leaves, also what is aborted meanwhile.
void testSuspended() {
  for (const bool aborted : {false, true}) {
    Scene scene(1);
    scene.submit(0, scene.slow(kRecord));
    scene.awaitRequests(1);
    scene.queues->suspend();
    scene.queues->cancelMessages();
    CHECK(scene.queues->settled());
    const std::vector<std::byte> before = scene.queues->state();
    scene.closeEngine(0);
    CHECK(scene.queues->state() == before);
    if (aborted) CHECK(!scene.queues->command(Scene::abortCommand()));
    scene.checkWaits(1);
    scene.queues->resume();
    CHECK_EQUAL(scene.commandEnded(), aborted);
    CHECK_EQUAL(scene.counters().abandoned.load(), aborted ? 1u : 0u);
    scene.addEngines(1);
    if (!aborted) scene.checkMoved();
  }
}

/// What no engine has is part of the state, and its requests are cancelled like the others'.
void testSavedWithoutEngine() {
  Scene scene(1);
  scene.submit(0, scene.slow(kRecord));
  scene.awaitRequests(1);
  scene.closeEngine(0);
  scene.queues->suspend();
  CHECK(!scene.queues->settled());
  scene.queues->cancelMessages();
  CHECK(scene.queues->settled());
  const std::vector<std::byte> state = scene.queues->state();
  scene.queues->restore(state, std::vector<std::optional<QueueDevice::RestoredQueue>>(
                                   kQueues, QueueDevice::RestoredQueue{Device::config(), scene.group}));
  CHECK_EQUAL(scene.run().inFlight(), 1u);
  scene.queues->resume();
  scene.addEngines(1);
  scene.checkMoved();
}

}  // namespace

int main() {
  testNextEngine();
  testOtherEngine();
  testMapped();
  testBatch();
  testDrainBehind();
  testAbortWithoutEngine();
  testAbortBehindRecord();
  testCommandsWait();
  testSuspended();
  testSavedWithoutEngine();
}
