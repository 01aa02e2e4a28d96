// sources: engine/*.cc dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
//
// The event log: what its entries say of batches and drains, in memory that a client answers for, and with errors from
// several queues while the guest takes entries out. test/engine/event-log-model.test.ts has the rest.
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint32_t kStatus = 0x1f0;
constexpr uint32_t kEntries = 64;
constexpr uint64_t kLog = 0x10000;
/// Not mapped.
constexpr uint64_t kNowhere = kBase + 0x4000000000;
constexpr uint64_t kBehind = 0x8000000000;

/// Words of one entry.
using Entry = std::array<uint64_t, 8>;

/// A device with an event log, and registers of a guest that has it enabled, with its interrupt.
struct Scene {
  explicit Scene(uint64_t log = kBase + kLog, unsigned engineCount = 1) : address(log) {
    dma->setBusMaster(true);
    CHECK_EQUAL(dma->map(kBase, memory.size(), kBoth, memory.fd(), 0), 0);
    CHECK_EQUAL(dma->map(kBehind, behind.size(), kBoth, FileDescriptor(), 0), 0);
    client = std::make_shared<Client>(behind, kBehind);
    dma->setMessageDma(client);
    RegisterOffsets offsets = kRegisters;
    offsets.eventLogStatus = kStatus;
    registers->word32(kRegisters.generalControl).store(5);
    queues = std::make_unique<QueueDevice>(
        QueueDeviceOptions{registers, dma, faults, irqs, kQueues, kVectors, offsets, {.overlappingMove = true}});
    for (unsigned i = 0; i < engineCount; ++i) engines.push_back(std::make_shared<Engine>("event-log"));
    group->setEngines(engines);
  }
  ~Scene() {
    queues.reset();
    dma->setMessageDma(nullptr);
    group->close();
    for (const auto& engine : engines) engine->close();
  }

  EventLogConfig config() const { return {address, kEntries, 64}; }
  void open() const {
    for (uint32_t queue = 0; queue < kQueues; ++queue) queues->enable(queue, Device::config(), group);
    queues->openEventLog(config(), group);
  }
  void submit(const dsa::Descriptor& descriptor, uint32_t queue = 0) const {
    CHECK(queues->portal()->write(queue * PortalRegion::kQueueStride, descriptor.bytes) == Served::done);
    queues->portal()->flush();
  }
  uint32_t tail() const { return registers->word32(kStatus + 4).load(std::memory_order_acquire) & 0xffff; }
  uint32_t head() const { return registers->word32(kStatus).load(); }
  /// The oldest entry, taken out.
  Entry take() const {
    await("an entry", [&] { return tail() != head(); });
    const GuestMemory& own = address >= kBehind ? behind : memory;
    Entry entry;
    std::memcpy(entry.data(), own.at(address - (address >= kBehind ? kBehind : kBase) + head() * 64), sizeof entry);
    registers->word32(kStatus).store((head() + 1) % kEntries, std::memory_order_release);
    return entry;
  }
  /// Everything submitted so far has ended, and is told.
  void drainAll() const {
    const CommandEffects effects{{{0xa8, RegisterEffect::Operation::store, 1}}, {}};
    registers->word32(0xa8).store(0);
    queues->command({{0, 1, 2, 3}, false, false, effects, std::nullopt, true, false});
    await("a command", [&] { return registers->word32(0xa8).load() == 1; });
  }
  uint64_t softwareError() const { return registers->word64(kRegisters.softwareError).load(); }

  const uint64_t address;
  GuestMemory memory{64};
  GuestMemory behind{64};
  std::shared_ptr<RegisterMemory> registers = std::make_shared<RegisterMemory>(0x2000);
  std::shared_ptr<DmaSpace> dma = std::make_shared<DmaSpace>();
  std::shared_ptr<IrqTable> irqs = std::make_shared<IrqTable>(kVectors);
  std::shared_ptr<std::atomic<uint64_t>> faults = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<Client> client;
  std::unique_ptr<QueueDevice> queues;
  std::shared_ptr<Group> group = std::make_shared<Group>();
  std::vector<std::shared_ptr<Engine>> engines;
};

/// The owner's error: a command came while one is active.
void recordActive(const Scene& scene) {
  SoftwareError error;
  error.code = 0x52;
  scene.queues->recordError(error);
}

uint32_t code(const Entry& entry) { return entry[0] >> 8 & 0xff; }
uint32_t batchNumber(const Entry& entry) { return entry[0] >> 24 & 0xff; }
bool bit(uint64_t word, unsigned place) { return (word >> place & 1) != 0; }

/// A batch of moves of one byte whose records lie at `records`.
Build batchAt(const Scene& scene, uint64_t list, const std::vector<uint64_t>& records) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Build member = move(kBase, kBase + 1, 1).record(records[i]);
    std::memcpy(scene.memory.at(list + i * 64), member.descriptor().bytes.data(), 64);
  }
  return batchOf(kBase + list, static_cast<uint32_t>(records.size()));
}

/// Members whose records are nowhere, and then the batch itself, which did what it was to do.
void testBatches() {
  const Scene scene;
  scene.open();
  for (uint8_t round = 0; round < 3; ++round) {
    scene.submit(batchAt(scene, 0x2000, {kNowhere, kBase + 0x3000, kNowhere + 32}).record(kBase + 0x3040).interrupt(2));
    const Entry first = scene.take();
    const Entry second = scene.take();
    const Entry end = scene.take();
    CHECK_EQUAL(code(first), 0x1au);
    CHECK_EQUAL(code(second), 0x1au);
    CHECK_EQUAL(code(end), 0x27u);
    for (const Entry* entry : {&first, &second, &end}) CHECK_EQUAL(batchNumber(*entry), unsigned{round});
    // In a batch, and where; the record is needed, and only the first says that it is.
    CHECK(bit(first[0], 4) && bit(second[0], 4) && !bit(end[0], 4));
    CHECK_EQUAL(first[1] & 0xffff, 0u);
    CHECK_EQUAL(second[1] & 0xffff, 2u);
    CHECK(bit(first[1], 50) && bit(first[1], 51) && bit(second[1], 50) && !bit(second[1], 51));
    CHECK_EQUAL(second[2], kNowhere + 32);
    CHECK_EQUAL(first[4], 1u);
    // The batch: record, interrupt and handle are left to software. All members succeeded.
    CHECK(bit(end[1], 48) && bit(end[1], 50) && !bit(end[1], 51));
    CHECK_EQUAL(end[1] >> 32 & 0xffff, 2u);
    CHECK_EQUAL(end[2], kBase + 0x3040);
    CHECK_EQUAL(end[4], uint64_t{1} | uint64_t{3} << 32);
    CHECK_EQUAL(unsigned{scene.memory.status(0x3040)}, 0u);
    CHECK_EQUAL(unsigned{scene.memory.status(0x3000)}, 1u);
  }
  CHECK_EQUAL(scene.softwareError(), 0u);
}

/// A drain after a record fault goes to the log, so that software comes to it behind the fault; others do not.
void testDrains() {
  const Scene scene;
  scene.open();
  scene.submit(drain().record(kBase + 0x3000));
  scene.drainAll();
  CHECK_EQUAL(unsigned{scene.memory.status(0x3000)}, 1u);
  scene.submit(noOp().record(kNowhere));
  scene.submit(drain().record(kBase + 0x3020).interrupt(3));
  scene.submit(drain().record(kBase + 0x3040), 1);
  scene.drainAll();
  CHECK_EQUAL(code(scene.take()), 0x1au);
  const Entry end = scene.take();
  CHECK_EQUAL(code(end), 0x26u);
  CHECK(bit(end[1], 48) && bit(end[1], 50));
  CHECK_EQUAL(end[2], kBase + 0x3020);
  CHECK_EQUAL(end[4], 1u);
  CHECK_EQUAL(unsigned{scene.memory.status(0x3020)}, 0u);
  CHECK_EQUAL(unsigned{scene.memory.status(0x3040)}, 1u);
  CHECK_EQUAL(scene.head(), scene.tail());
}

/// Misaligned records: nothing but the error tells of them.
void fail(const Scene& scene, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) scene.submit(noOp().record(kBase + 8));
}

/// A client that is slow with the log's memory keeps nothing else waiting, and the guest sees whole entries only.
void testByMessage() {
  const Scene scene(kBehind + kLog);
  scene.open();
  fail(scene, 3);
  await("a request", [&] { return scene.client->waiting() == 1; });
  // The only engine goes on with other work.
  scene.submit(noOp().record(kBase + 0x3000), 1);
  await("a record", [&] { return scene.memory.status(0x3000) == 1; });
  for (uint32_t written = 0; written < 3; ++written) {
    await("a request", [&] { return scene.client->waiting() == 1; });
    CHECK_EQUAL(scene.tail(), written);
    CHECK(scene.client->answer());
    CHECK_EQUAL(code(scene.take()), 0x1bu);
  }
  // What the client refuses is lost.
  fail(scene, 1);
  await("a request", [&] { return scene.client->waiting() == 1; });
  CHECK(scene.client->answer(EFAULT));
  await("SWERROR", [&] { return (scene.softwareError() & 1) != 0; });
  CHECK_EQUAL(scene.softwareError() >> 8 & 0xff, 0x54u);
  CHECK_EQUAL(scene.registers->word64(kRegisters.softwareError + 16).load(), kBehind + kLog + 3 * 64);
  CHECK_EQUAL(scene.tail(), 3u);
  CHECK_EQUAL(scene.queues->eventLog().lost(), 1u);
}

/// A reset forgets what waits; so does the command that resets the device, without waiting for the client.
void testReset() {
  for (const bool command : {false, true}) {
    const Scene scene(kBehind + kLog);
    scene.open();
    fail(scene, 5);
    await("errors", [&] { return scene.queues->queue(0).counters().completed == 5; });
    await("a request", [&] { return scene.client->waiting() == 1; });
    if (command) {
      scene.queues->command(
          {{0, 1, 2, 3}, true, true, {{{0xa8, RegisterEffect::Operation::store, 1}}, {}}, std::nullopt, false, true});
      await("the command", [&] { return scene.registers->word32(0xa8).load() == 1; });
    } else {
      scene.queues->reset();
    }
    CHECK_EQUAL(scene.client->waiting(), 0u);
    // From here on errors are SWERROR's.
    recordActive(scene);
    CHECK_EQUAL(scene.softwareError(), uint64_t{0x5201});
    scene.open();
    fail(scene, 1);
    await("a request", [&] { return scene.client->waiting() == 1; });
    CHECK(scene.client->answer());
    await("an entry", [&] { return scene.tail() == 1; });
    CHECK_EQUAL(scene.queues->eventLog().written(), 1u);
  }
}

/// Disable waits for the client, and closes the log then. An abort of queues leaves the log alone.
void testCommands() {
  const Scene scene(kBehind + kLog);
  scene.open();
  fail(scene, 2);
  await("a request", [&] { return scene.client->waiting() == 1; });
  CHECK(scene.queues->command({{0}, false, true, {}, std::nullopt, true, false}) || true);
  await("the abort", [&] { return !scene.queues->commandPending(); });
  CHECK_EQUAL(scene.client->waiting(), 1u);
  CHECK(!scene.queues->command({{0, 1, 2, 3}, true, false, {}, std::nullopt, false, true}));
  CHECK(scene.client->answer());
  await("a request", [&] { return scene.client->waiting() == 1; });
  CHECK(scene.queues->commandPending());
  CHECK(scene.client->answer());
  await("the command", [&] { return !scene.queues->commandPending(); });
  CHECK_EQUAL(scene.tail(), 2u);
  CHECK(!scene.queues->eventLog().isOpen());
  scene.queues->openEventLog(scene.config(), scene.group);
}

/// Suspended between a request and its answer, with a batch and a command in the middle; then here or elsewhere.
void testSuspended() {
  for (const bool elsewhere : {false, true}) {
    Scene scene(kBehind + kLog);
    Scene other(kBehind + kLog);
    scene.open();
    // The second member waits for the client, too.
    Build batch = batchAt(scene, 0x2000, {kNowhere, kBehind + 0x3000});
    scene.submit(batch.record(kBase + 0x3040));
    await("a request", [&] { return scene.client->waiting() == 2; });
    const CommandEffects effects{{{0xa8, RegisterEffect::Operation::store, 1}}, {}};
    CHECK(!scene.queues->command({{0}, false, false, effects, std::nullopt, true, false}));
    scene.queues->suspend();
    scene.queues->cancelMessages();
    CHECK(scene.queues->settled());
    recordActive(scene);
    const std::vector<std::byte> state = scene.queues->state();
    Scene& next = elsewhere ? other : scene;
    if (elsewhere) {
      for (uint32_t at = 0; at < 0x2000; at += 4) {
        other.registers->word32(at).store(scene.registers->word32(at).load());
      }
      other.queues->suspend();
      const std::vector<std::optional<QueueDevice::RestoredQueue>> settings(
          kQueues, QueueDevice::RestoredQueue{Device::config(), other.group});
      bool refused = false;
      try {
        other.queues->restore(state, settings, effects);
      } catch (const std::invalid_argument&) {
        refused = true;
      }
      CHECK(refused);
      other.queues->restore(state, settings, effects, QueueDevice::RestoredEventLog{other.config(), other.group});
      CHECK(other.queues->state() == state);
      scene.queues->reset();
    }
    next.queues->resume();
    while (next.queues->commandPending() || next.tail() < 3) next.client->answer();
    const Entry member = next.take();
    const Entry command = next.take();
    const Entry end = next.take();
    CHECK_EQUAL(code(member), 0x1au);
    CHECK_EQUAL(code(command), 0x52u);
    CHECK_EQUAL(code(end), 0x27u);
    CHECK_EQUAL(batchNumber(member), batchNumber(end));
    CHECK_EQUAL(next.registers->word32(0xa8).load(), 1u);
    CHECK_EQUAL(next.queues->eventLog().written(), 3u);
  }
}

/// A command that closes the log, or would if one was open, waits while the device is suspended. Its state has no log,
/// and goes on elsewhere.
void testStateWhileClosing() {
  enum class Log : uint8_t { none, earlier, open };
  for (const Log log : {Log::none, Log::earlier, Log::open}) {
    for (const bool abort : {false, true}) {
      // A command that waits for what is in a log keeps that open.
      if (log == Log::open && !abort) continue;
      const Scene scene(kBehind + kLog);
      if (log == Log::earlier) {
        scene.open();
        CHECK(scene.queues->command({{0, 1, 2, 3}, true, false, {}, std::nullopt, false, true}));
      }
      if (log == Log::open) {
        scene.open();
        fail(scene, 3);
        await("a request", [&] { return scene.client->waiting() == 1; });
      } else {
        for (uint32_t queue = 0; queue < kQueues; ++queue) scene.queues->enable(queue, Device::config(), scene.group);
      }
      scene.submit(move(kBehind, kBase, 64).record(kBase + 0x40));
      await("a request", [&] { return scene.client->waiting() == (log == Log::open ? 2 : 1); });
      scene.queues->suspend();
      const CommandEffects effects{{{0xa8, RegisterEffect::Operation::store, 1}}, {}};
      CHECK(!scene.queues->command({{0, 1, 2, 3}, true, abort, effects, std::nullopt, false, true}));
      scene.queues->cancelMessages();
      const std::vector<std::byte> state = scene.queues->state();
      const Scene other(kBehind + kLog);
      other.queues->suspend();
      const std::vector<std::optional<QueueDevice::RestoredQueue>> settings(
          kQueues, QueueDevice::RestoredQueue{Device::config(), other.group});
      other.queues->restore(state, settings, effects);
      other.queues->resume();
      await("the command", [&] {
        other.client->answer();
        return !other.queues->commandPending();
      });
      CHECK_EQUAL(other.registers->word32(0xa8).load(), 1u);
      CHECK_EQUAL(unsigned{other.memory.status(0x40)}, abort ? 0u : 1u);
      CHECK(!other.queues->eventLog().isOpen());
    }
  }
}

/// Four queues fail on three engines, one of which is exchanged now and then; the guest takes entries out as its driver
/// does: it clears "pending", then looks at the tail. Every error is in the log once, or counted as lost.
void testUnderLoad() {
  constexpr uint32_t kEach = 2000;
  Scene scene(kBase + kLog, 3);
  scene.open();
  std::atomic<bool> running{true};
  uint64_t taken = 0;
  std::thread driver([&] {
    while (running.load() || scene.tail() != scene.head()) {
      scene.registers->word32(kStatus + 4).fetch_and(~(1u << 30));
      while (scene.tail() != scene.head()) {
        const Entry entry = scene.take();
        CHECK_EQUAL(code(entry), 0x1bu);
        CHECK(bit(entry[0], 2) && bit(entry[0], 3));
        ++taken;
      }
      ::sched_yield();
    }
  });
  for (uint32_t round = 0; round < kEach; ++round) {
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      while (scene.queues->queue(queue).run()->waiting() >= 30) ::sched_yield();
      scene.submit(noOp().record(kBase + 8), queue);
    }
    if (round % 500 == 250) {
      scene.engines[0]->close();
      scene.engines[0] = std::make_shared<Engine>("event-log");
      scene.group->setEngines(scene.engines);
    }
  }
  scene.drainAll();
  running.store(false);
  driver.join();
  CHECK_EQUAL(taken, scene.queues->eventLog().written());
  CHECK_EQUAL(taken + scene.queues->eventLog().lost(), uint64_t{kEach} * kQueues);
  CHECK(taken > 0);
}

}  // namespace

int main() {
  testBatches();
  testDrains();
  testByMessage();
  testReset();
  testCommands();
  testSuspended();
  testStateWhileClosing();
  testUnderLoad();
}
