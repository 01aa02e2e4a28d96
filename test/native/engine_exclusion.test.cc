// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
//
// Engines whose guest memory belongs to its owner for a while: they leave at their chunk, work for others, come back,
// and end if they are to.
#include <optional>

#include "engine_support.h"
#include "memory/reader_exclusion.h"

using namespace engine_test;

namespace {

constexpr uint64_t kRecord = 0x1000;
constexpr uint64_t kData = 0x20000;
constexpr uint32_t kBytes = 0x100000;

struct Scene : Device {
  Scene() {
    mapAll();
    memory.fill(kData, kBytes, 1);
    enable(0, config());
  }
  Build large(uint64_t record) const {
    return move(kBase + kData, kBase + kData + kBytes, kBytes).record(kBase + record);
  }
  void awaitStatus(uint64_t record) const {
    await("a record", [&] { return memory.status(record) != 0; });
    CHECK_EQUAL(unsigned{memory.status(record)}, 1u);
  }
  const QueueRun& run() const { return *queues->queue(0).run(); }
};

/// Excluded at any chunk of many, a thousand times: all of it is done, once.
void testComesBack() {
  Scene scene;
  scene.addEngines(1);
  uint64_t told = 0;
  for (int n = 0; n < 300; ++n) {
    std::memset(scene.memory.at(kRecord), 0, 32);
    std::memset(scene.memory.at(kData + kBytes), 0, kBytes);
    scene.submit(0, scene.large(kRecord));
    for (int turn = 0; turn < 4; ++turn) {
      std::atomic<bool> left{false};
      ReaderExclusion exclusion(scene.dma->readers());
      if (!exclusion.completeOrTell([&] { left.store(true); })) {
        ++told;
        await("the engine", [&] { return left.load(); });
        await("the exclusion", [&] { return exclusion.complete(); });
      }
      // Nobody writes now: the sanitizer sees these reads.
      const bool ended = scene.memory.status(kRecord) != 0;
      if (n % 16 == 0)
        CHECK(!ended || std::memcmp(scene.memory.at(kData), scene.memory.at(kData + kBytes), kBytes) == 0);
      scene.dma->awaitReaders();
    }
    scene.awaitStatus(kRecord);
    CHECK(std::memcmp(scene.memory.at(kData), scene.memory.at(kData + kBytes), kBytes) == 0);
  }
  std::printf("%llu exclusions were told\n", static_cast<unsigned long long>(told));
}

/// One engine, two devices: the other one is served meanwhile.
void testServesOthers() {
  Scene held;
  Scene other;
  const auto engine = std::make_shared<Engine>("test-engine");
  held.engines = other.engines = {engine};
  other.group = held.group;
  held.group->setEngines({engine});
  other.enable(1, Device::config());
  std::optional<ReaderExclusion> exclusion(std::in_place, held.dma->readers());
  CHECK(exclusion->complete());
  held.submit(0, held.large(kRecord));
  for (int n = 0; n < 20; ++n) CHECK_EQUAL(unsigned{other.execute(1, noOp(), kRecord)}, 1u);
  CHECK_EQUAL(unsigned{held.memory.status(kRecord)}, 0u);
  CHECK_EQUAL(held.run().inFlight(), 1u);
  exclusion.reset();
  held.awaitStatus(kRecord);
}

/// What resets, suspends and unmaps does not wait for an engine that was turned away, and finds it again.
void testInsideNothingWaits() {
  Scene scene;
  scene.addEngines(2);
  {
    ReaderExclusion exclusion(scene.dma->readers());
    CHECK(exclusion.complete());
    scene.submit(0, scene.large(kRecord));
    await("its beginning", [&] { return scene.run().inFlight() == 1; });
    scene.queues->suspend();
    CHECK(scene.queues->settled());
    scene.queues->resume();
    scene.queues->reset();
    CHECK_EQUAL(scene.dma->unmap(kBase, scene.memory.size()), 0);
    scene.mapAll();
    scene.enable(0, Device::config());
    scene.submit(0, scene.large(kRecord + 32));
  }
  scene.awaitStatus(kRecord + 32);
  CHECK_EQUAL(unsigned{scene.memory.status(kRecord)}, 0u);
}

/// An engine that ends meanwhile: whoever keeps it out may be the one that waits for its end.
void testAnEngineEnds() {
  for (const bool aborts : {false, true}) {
    for (const bool resets : {false, true}) {
      Scene scene;
      scene.addEngines(1);
      {
        ReaderExclusion exclusion(scene.dma->readers());
        CHECK(exclusion.complete());
        scene.submit(0, scene.large(kRecord));
        await("its beginning", [&] { return scene.run().inFlight() == 1; });
        if (aborts) static_cast<void>(scene.queues->command({{0}, true, true, {}}));
        if (resets) scene.queues->reset();
        scene.engines[0]->close();
        // An abort waits for no other engine: there may be none for a long time.
        if (aborts && !resets) {
          CHECK_EQUAL(scene.run().inFlight(), 0u);
          CHECK(!scene.queues->commandPending());
          CHECK_EQUAL(unsigned{scene.memory.status(kRecord)}, 0u);
        }
      }
      scene.engines.clear();
      if (resets) continue;
      scene.addEngines(1);
      if (!aborts) scene.awaitStatus(kRecord);
      await("its end", [&] { return scene.run().inFlight() == 0; });
    }
  }
}

}  // namespace

int main() {
  testComesBack();
  testServesOthers();
  testInsideNothingWaits();
  testAnEngineEnds();
}
