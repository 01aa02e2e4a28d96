// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Commands on queues, drain descriptors, reset, and the arbiter: what waits for what, and what is left of what was
// abandoned. Memory by message holds descriptors in flight for as long as the test wants.
#include <algorithm>

#include "engine/job.h"
#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kMessages = 0x8000000000;
constexpr uint32_t kCommandStatus = 0xa8;

/// A device that also has memory by message.
class MessageDevice : public Device {
 public:
  explicit MessageDevice(unsigned engineCount) : client(std::make_shared<Client>(behind, kMessages)) {
    mapAll();
    CHECK_EQUAL(dma->map(kMessages, behind.size(), kBoth, FileDescriptor(), 0), 0);
    dma->setMessageDma(client);
    addEngines(engineCount);
  }
  ~MessageDevice() { dma->setMessageDma(nullptr); }

  /// A descriptor that is in flight until `answer` was called twice for each chunk.
  Build slow(uint64_t place, uint32_t size = 64) const {
    return move(kMessages + place, kMessages + place + 0x20000, size);
  }
  void answer(std::size_t count) const {
    for (std::size_t i = 0; i < count; ++i) {
      await("a request", [&] { return client->waiting() > 0; });
      CHECK(client->answer());
    }
  }
  void awaitRequests(std::size_t count) const {
    await("requests", [&] { return client->waiting() == count; });
  }
  void answerAll() const {
    while (client->answer()) {
    }
  }
  const QueueCounters& counters(uint32_t queue) const { return queues->queue(queue).counters(); }
  uint32_t commandStatus() const { return registers->word32(kCommandStatus).load(); }

  GuestMemory behind{256};
  std::shared_ptr<Client> client;
};

QueueDevice::Command command(std::vector<uint32_t> queues, bool stop, bool abort) {
  using Operation = RegisterEffect::Operation;
  return {std::move(queues),
          stop,
          abort,
          {{{kRegisters.workQueueStatus.at(0), Operation::keepBits, 0x3fffffff},
            {kCommandStatus, Operation::store, 0x12},
            {kRegisters.interruptCause, Operation::setBits, 2}},
           {0}}};
}

void testAtOnce() {
  MessageDevice device(1);
  device.registers->word32(kRegisters.workQueueStatus.at(0)).store(0x40000000);
  device.registers->word32(kCommandStatus).store(0x80000000);
  CHECK(device.queues->command(command({0, 1}, true, false)));
  CHECK_EQUAL(device.commandStatus(), 0x12u);
  CHECK_EQUAL(device.registers->word32(kRegisters.workQueueStatus.at(0)).load(), 0u);
  CHECK_EQUAL(device.registers->word32(kRegisters.interruptCause).load(), 2u);
  CHECK_EQUAL(device.raised(0), 1u);
  // With a queue that is enabled, but has nothing.
  device.enable(0, Device::config());
  CHECK(device.queues->command(command({0}, false, false)));
  CHECK_EQUAL(device.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);
  CHECK(device.queues->command(command({0}, true, true)));
  CHECK_EQUAL(device.raised(0), 2u);
}

/// Drivers write a command as soon as they have seen the last descriptor end, and expect it to be over with the write;
/// and when it is over, nothing of that descriptor may follow.
void testRightAfterTheEnd() {
  MessageDevice device(2);
  device.enable(0, Device::config());
  GuestMemory& memory = device.memory;
  constexpr uint64_t kRecord = 0x1000;
  for (int round = 0; round < 3000; ++round) {
    *memory.at(kRecord) = std::byte{0};
    device.submit(0, noOp().record(kBase + kRecord).interrupt(1));
    while (memory.status(kRecord) == 0) ::sched_yield();
    CHECK(device.queues->command({{0}, false, false, {}}));
    CHECK_EQUAL(device.raised(1), 1u);

    // Told by the interrupt alone, and by the software error alone.
    device.submit(0, noOp().interrupt(1));
    device.awaitVector(1);
    CHECK(device.queues->command({{0}, false, false, {}}));
    CHECK_EQUAL(device.raised(1), 1u);
    device.submit(0, Build(0x3f));
    while ((device.softwareError(0) & 1) == 0) ::sched_yield();
    CHECK(device.queues->command({{0}, false, false, {}}));
    device.clearSoftwareError();
  }
  // Others in flight are waited for as ever: not here.
  device.submit(0, device.slow(0));
  device.awaitRequests(1);
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  CHECK(!device.queues->command(command({0}, false, false)));
  device.answer(2);
  await("the command", [&] { return !device.queues->commandPending(); });
}

/// Waits for what is in flight and what is queued.
void testDrainCommand() {
  MessageDevice device(2);
  device.enable(0, Device::config());
  device.registers->word32(kCommandStatus).store(0x80000000);
  const auto recordOf = [](uint64_t i) { return 0x1000 + i * 32; };
  for (uint64_t i = 0; i < 4; ++i) device.submit(0, device.slow(i * 64).record(kBase + recordOf(i)));
  CHECK(!device.queues->command(command({0}, false, false)));
  CHECK(device.queues->commandPending());
  CHECK_THROWS(std::logic_error, device.queues->command(command({0}, false, false)));
  device.submit(0, device.slow(4 * 64).record(kBase + recordOf(4)));
  // Two answers for each. The command cannot be over before the eighth.
  for (int i = 0; i < 7; ++i) {
    device.answer(1);
    CHECK_EQUAL(device.commandStatus(), 0x80000000u);
    CHECK(device.queues->commandPending());
  }
  device.answer(3);
  device.awaitVector(0);
  CHECK_EQUAL(device.commandStatus(), 0x12u);
  CHECK(!device.queues->commandPending());
  for (uint64_t i = 0; i < 4; ++i) CHECK_EQUAL(device.memory.status(recordOf(i)), dsa::kStatusSuccess);
  await("the newest", [&] { return device.counters(0).completed == 5; });
  CHECK_EQUAL(device.raised(0), 1u);
  // It still takes descriptors.
  CHECK_EQUAL(device.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);
}

/// Descriptors that come after the command are not waited for.
void testNewerWorkDoesNotDelay() {
  MessageDevice device(1);
  device.enable(0, Device::config());
  device.enable(1, Device::config());
  device.submit(0, device.slow(0));
  CHECK(!device.queues->command(command({0}, false, false)));
  for (uint64_t i = 1; i < 4; ++i) device.submit(0, device.slow(i * 64));
  device.submit(1, device.slow(0x1000));
  device.awaitRequests(5);
  // What was read first is written last.
  device.answer(1);
  device.awaitRequests(5);
  CHECK(device.client->answer(0, 4));
  device.awaitVector(0);
  CHECK_EQUAL(device.counters(0).completed, 1u);
  CHECK(device.client->waiting() >= 1);
}

void testStopAccepting() {
  MessageDevice device(1);
  device.enable(0, Device::config());
  device.submit(0, device.slow(0).record(kBase + 0x1000));
  device.submit(0, device.slow(64).record(kBase + 0x1020));
  CHECK(!device.queues->command(command({0}, true, false)));
  device.submit(0, noOp());
  CHECK_EQUAL(device.counters(0).dropped, 1u);
  CHECK_THROWS(std::logic_error, device.enable(0, Device::config()));
  device.answer(4);
  device.awaitVector(0);
  CHECK_EQUAL(device.memory.status(0x1000), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.status(0x1020), dsa::kStatusSuccess);
  CHECK_EQUAL(device.counters(0).completed, 2u);
  device.enable(0, Device::config());
  CHECK_EQUAL(device.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);
}

void testAbortCommand() {
  for (const bool stop : {false, true}) {
    MessageDevice device(1);
    device.enable(0, Device::config());
    device.registers->word32(kCommandStatus).store(0x80000000);
    for (uint64_t i = 0; i < 5; ++i) device.submit(0, device.slow(i * 64).record(kBase + 0x1000 + i * 32).interrupt(1));
    device.awaitRequests(5);
    device.queues->command(command({0}, stop, true));
    CHECK_EQUAL(device.occupancy(0), 0u);
    // The client need not answer, not even what it was asked.
    device.awaitVector(0);
    CHECK_EQUAL(device.commandStatus(), 0x12u);
    CHECK_EQUAL(device.client->waiting(), 0u);
    CHECK_EQUAL(device.counters(0).abandoned, 5u);
    if (stop) device.enable(0, Device::config());
    CHECK_EQUAL(device.execute(0, noOp(), 0x2000), dsa::kStatusSuccess);
    CHECK_EQUAL(device.raised(1), 0u);
    for (uint64_t i = 0; i < 5; ++i) CHECK_EQUAL(device.memory.status(0x1000 + i * 32), 0);
  }
}

/// A long copy ends at its chunk.
void testAbortAtChunk() {
  Device device(0x4000);
  device.mapAll();
  device.addEngines(1);
  device.enable(0, Device::config());
  constexpr uint32_t kHalf = 0x2000 * kPage;
  std::memset(device.memory.at(0), 1, kHalf);
  device.submit(0, move(kBase, kBase + kHalf, kHalf));
  await("the copy",
        [&] { return std::atomic_ref<uint8_t>(*reinterpret_cast<uint8_t*>(device.memory.at(kHalf))).load() != 0; });
  const bool atOnce = device.queues->command(command({0}, false, true));
  if (!atOnce) device.awaitVector(0);
  CHECK_EQUAL(device.queues->queue(0).run()->inFlight(), 0u);
  CHECK_EQUAL(device.queues->queue(0).counters().abandoned + device.queues->queue(0).counters().completed, 1u);
}

/// A drain descriptor waits for what other engines have, and does not hold its own engine up.
void testDrainDescriptor() {
  MessageDevice device(2);
  device.enable(0, Device::config());
  device.enable(1, Device::config());
  device.submit(0, device.slow(0).record(kBase + 0x1000));
  device.awaitRequests(1);
  device.submit(0, drain().record(kBase + 0x1020).interrupt(2));
  await("the drain's dispatch", [&] { return device.queues->queue(0).run()->inFlight() == 2; });
  for (int i = 0; i < 50; ++i) CHECK_EQUAL(device.execute(1, noOp(), 0x2000), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.status(0x1020), 0);
  device.answer(2);
  device.awaitVector(2);
  CHECK_EQUAL(device.memory.status(0x1020), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.status(0x1000), dsa::kStatusSuccess);
  // A drain that is aborted while it waits.
  device.submit(0, device.slow(0));
  device.awaitRequests(1);
  device.submit(0, drain().record(kBase + 0x1040));
  await("the drain's dispatch", [&] { return device.queues->queue(0).run()->inFlight() == 2; });
  device.queues->command(command({0}, false, true));
  device.awaitVector(0);
  CHECK_EQUAL(device.queues->queue(0).run()->inFlight(), 0u);
  CHECK_EQUAL(device.memory.status(0x1040), 0);
  // Neither record nor interrupt requested: that is refused.
  CHECK_EQUAL(device.execute(0, drain().set<uint64_t>(16, 1), 0x1000), dsa::kStatusReservedField);
  device.clearSoftwareError();
  device.submit(0, drain());
  await("the error", [&] { return (device.softwareError(0) & 1) != 0; });
  CHECK_EQUAL(device.softwareError(0) >> 8 & 0xff, 0x11u);
  CHECK_EQUAL(device.softwareError(1), uint64_t{0x18} << 32);
}

/// Nothing of the old enable is seen after a reset, whatever it was doing.
void testReset() {
  MessageDevice device(2);
  device.enable(0, Device::config());
  device.registers->word32(kCommandStatus).store(0x80000000);
  for (uint64_t i = 0; i < 6; ++i) device.submit(0, device.slow(i * 64).record(kBase + 0x1000 + i * 32).interrupt(1));
  device.awaitRequests(6);
  CHECK(!device.queues->command(command({0}, false, false)));
  device.queues->reset();
  CHECK(!device.queues->commandPending());
  CHECK_EQUAL(device.occupancy(0), 0u);
  // At once: a new run, while jobs of the old one may still be on engines.
  device.enable(0, Device::config());
  CHECK_EQUAL(device.execute(0, noOp(), 0x2000), dsa::kStatusSuccess);
  CHECK(device.queues->command(command({1}, false, false)));
  CHECK_EQUAL(device.raised(0), 1u);
  CHECK_EQUAL(device.raised(1), 0u);
  CHECK_EQUAL(device.commandStatus(), 0x12u);
  CHECK_EQUAL(device.client->waiting(), 0u);
  for (uint64_t i = 0; i < 6; ++i) CHECK_EQUAL(device.memory.status(0x1000 + i * 32), 0);
  await("the count", [&] { return device.counters(0).abandoned == 6; });
}

/// A client that never answers keeps what is its own waiting, and nobody else; engines end all the same.
void testSilentClient() {
  MessageDevice device(2);
  for (uint32_t queue = 0; queue < 3; ++queue) {
    device.enable(queue, Device::config());
    for (uint64_t i = 0; i < 4; ++i) device.submit(queue, device.slow(i * 64));
  }
  device.awaitRequests(12);
  Device neighbour;
  neighbour.mapAll();
  neighbour.queues->enable(0, Device::config(), device.group);
  for (int i = 0; i < 50; ++i) CHECK_EQUAL(neighbour.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);
  neighbour.queues->reset();
  for (const auto& engine : device.engines) engine->close();
  CHECK_EQUAL(device.counters(0).abandoned + device.counters(1).abandoned + device.counters(2).abandoned, 0u);
  // A new engine goes on with that, whose requests are still there, and takes what is still queued.
  device.engines.clear();
  device.addEngines(1);
  device.awaitRequests(12);
  device.answer(24);
  await("the rest", [&] {
    return device.counters(0).completed + device.counters(1).completed + device.counters(2).completed == 12;
  });
}

/// Operations by message give what mapped ones give; records go out body first, and faults end as faults.
void testByMessage() {
  MessageDevice device(1);
  device.enable(0, Device::config());
  std::atomic<bool> stop{false};
  // A record by message takes two writes: the test's own thread of answers counts on nothing.
  std::thread answers([&] {
    while (!stop) {
      if (!device.client->answer()) ::sched_yield();
    }
  });
  const auto run = [&](Build descriptor) {
    *device.memory.at(0x1000) = std::byte{0};
    return device.execute(0, descriptor, 0x1000);
  };
  device.behind.fill(0x10000, 0x30000, 5);
  device.memory.fill(0x10000, 0x30000, 6);
  const uint32_t size = 150001;
  // Between both kinds, and within.
  CHECK_EQUAL(run(move(kMessages + 0x10003, kBase + 0x80001, size)), dsa::kStatusSuccess);
  CHECK(std::memcmp(device.behind.at(0x10003), device.memory.at(0x80001), size) == 0);
  CHECK_EQUAL(run(move(kBase + 0x10007, kMessages + 0x80001, size)), dsa::kStatusSuccess);
  CHECK(std::memcmp(device.memory.at(0x10007), device.behind.at(0x80001), size) == 0);
  CHECK_EQUAL(run(Build(dsa::kOpCompare).addresses(kBase + 0x10007, kMessages + 0x80001).size(size)), 1);
  CHECK_EQUAL(device.memory.load<uint8_t>(0x1001), 0);
  *device.behind.at(0x80001 + 140000) ^= std::byte{2};
  CHECK_EQUAL(run(Build(dsa::kOpCompare).addresses(kMessages + 0x80001, kBase + 0x10007).size(size)), 1);
  CHECK_EQUAL(device.memory.load<uint8_t>(0x1001), 1);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x1004), 140000u);
  // Overlapping, both ways.
  for (const int64_t distance : {-70001, -3, 3, 70001}) {
    device.behind.fill(0x40000, size, 9);
    std::vector<std::byte> expected(device.behind.at(0x40000), device.behind.at(0x40000) + size);
    const uint64_t to = static_cast<uint64_t>(0x40000 + distance);
    CHECK_EQUAL(run(move(kMessages + 0x40000, kMessages + to, size)), dsa::kStatusSuccess);
    CHECK(std::memcmp(device.behind.at(to), expected.data(), size) == 0);
  }
  CHECK_EQUAL(run(fillWith(0x0102030405060708, kMessages + 0x10005, 100000)), dsa::kStatusSuccess);
  for (uint32_t i = 0; i < 100000; ++i) CHECK_EQUAL(device.behind.load<uint8_t>(0x10005 + i), 8 - i % 8);
  std::memcpy(device.behind.at(0x10000), "123456789", 9);
  CHECK_EQUAL(run(Build(dsa::kOpCrcGeneration).set<uint64_t>(16, kMessages + 0x10000).size(9)), 1);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x1010), 0xE3069283u);
  CHECK_EQUAL(run(Build(dsa::kOpCrcGeneration, dsa::kFlagReadCrcSeed)
                      .set<uint64_t>(16, kMessages + 0x10000)
                      .size(9)
                      .set<uint64_t>(48, kMessages + 0x20000)),
              1);
  // A batch whose list is behind messages, with members of both kinds.
  for (uint32_t i = 0; i < 20; ++i) {
    const Build member = move(kBase + 0x10000 + i * 64, kMessages + 0xc0000 + i * 64, 64);
    std::memcpy(device.behind.at(0x2000 + i * 64), member.descriptor().bytes.data(), 64);
  }
  CHECK_EQUAL(run(batchOf(kMessages + 0x2000, 20)), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x1004), 20u);
  CHECK(std::memcmp(device.memory.at(0x10000), device.behind.at(0xc0000), 20 * 64) == 0);
  // What ends the message map ends the transfer.
  CHECK_EQUAL(run(fillWith(1, kMessages + device.behind.size() - 100, 200)), 0x83);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x1004), 100u);
  CHECK_EQUAL(device.memory.load<uint64_t>(0x1008), kMessages + device.behind.size());
  stop = true;
  answers.join();

  // The record by message: 31 bytes behind the status, then the status, then the interrupt.
  const std::size_t before = device.client->log().size();
  device.submit(0, noOp().record(kMessages + 0x1000).interrupt(4));
  device.answer(1);
  CHECK_EQUAL(device.behind.status(0x1000), 0);
  device.awaitRequests(1);
  CHECK_EQUAL(device.raised(4), 0u);
  device.answer(1);
  device.awaitVector(4);
  CHECK_EQUAL(device.behind.status(0x1000), dsa::kStatusSuccess);
  const auto& log = device.client->log();
  CHECK_EQUAL(log.size(), before + 2);
  CHECK(log[before].write && log[before].address == kMessages + 0x1001 && log[before].count == 31);
  CHECK(log[before + 1].write && log[before + 1].address == kMessages + 0x1000 && log[before + 1].count == 1);

  // An error in each step: of a source, a destination, a record's body and its status.
  device.submit(0, device.slow(0).record(kBase + 0x1000));
  *device.memory.at(0x1000) = std::byte{0};
  device.awaitRequests(1);
  CHECK(device.client->answer(EIO));
  await("the fault", [&] { return device.memory.status(0x1000) == 0x03; });
  *device.memory.at(0x1000) = std::byte{0};
  device.submit(0, device.slow(0).record(kBase + 0x1000));
  device.answer(1);
  device.awaitRequests(1);
  CHECK(device.client->answer(EIO));
  await("the fault", [&] { return device.memory.status(0x1000) == 0x83; });
  CHECK_EQUAL(device.memory.load<uint64_t>(0x1008), kMessages + 0x20000);
  for (int good = 0; good < 2; ++good) {
    device.clearSoftwareError();
    device.submit(0, noOp().record(kMessages + 0x1000).interrupt(5));
    device.answer(static_cast<std::size_t>(good));
    device.awaitRequests(1);
    CHECK(device.client->answer(EIO));
    await("the error", [&] { return (device.softwareError(0) & 1) != 0; });
    CHECK_EQUAL(device.softwareError(0) >> 8 & 0xff, 0x1au);
    CHECK_EQUAL(device.raised(5), 0u);
  }
  // The map goes while a request is out: a fault, and the next one knows.
  device.submit(0, device.slow(0).record(kBase + 0x1000));
  *device.memory.at(0x1000) = std::byte{0};
  device.awaitRequests(1);
  CHECK_EQUAL(device.dma->unmap(kMessages, device.behind.size()), 0);
  await("the fault", [&] { return device.memory.status(0x1000) == 0x03; });
  CHECK_EQUAL(device.execute(0, device.slow(0), 0x1000), 0x03);
}

/// Maps of both kinds side by side, and operands that lie across the border.
void testMixedMaps() {
  MessageDevice device(1);
  device.enable(0, Device::config());
  // Message memory up to here, then memory of a file, then message memory again.
  constexpr uint64_t kBorder = 0x40000;
  constexpr uint64_t kEnd = 0x70000;
  CHECK_EQUAL(device.dma->unmap(kMessages, device.behind.size()), 0);
  CHECK_EQUAL(device.dma->map(kMessages, kBorder, kBoth, FileDescriptor(), 0), 0);
  CHECK_EQUAL(device.dma->map(kMessages + kBorder, kEnd - kBorder, kBoth, device.behind.fd(), kBorder), 0);
  CHECK_EQUAL(device.dma->map(kMessages + kEnd, device.behind.size() - kEnd, kBoth, FileDescriptor(), 0), 0);
  std::atomic<bool> stop{false};
  std::thread answers([&] {
    while (!stop) {
      if (!device.client->answer()) ::sched_yield();
    }
  });
  const uint32_t size = 0x50123;
  for (const int64_t distance : {-0x12345, -100, 100, 0x12345}) {
    const uint64_t from = 0x30000 - 77;
    const uint64_t to = static_cast<uint64_t>(static_cast<int64_t>(from) + distance);
    device.behind.fill(0, device.behind.size(), static_cast<uint32_t>(distance));
    std::vector<std::byte> expected(device.behind.at(0), device.behind.at(0) + device.behind.size());
    std::memmove(expected.data() + to, expected.data() + from, size);
    *device.memory.at(0x1000) = std::byte{0};
    CHECK_EQUAL(device.execute(0, move(kMessages + from, kMessages + to, size), 0x1000), dsa::kStatusSuccess);
    CHECK(std::memcmp(device.behind.at(0), expected.data(), expected.size()) == 0);
  }
  stop = true;
  answers.join();
}

/// Which of several faults counts, and what a checksum covers, when answers come late.
void testLateFaults() {
  MessageDevice device(1);
  device.enable(0, Device::config());
  constexpr uint64_t kNowhere = 0x1000;
  const auto submit = [&](Build descriptor) {
    *device.memory.at(0x1000) = std::byte{0};
    device.submit(0, descriptor.record(kBase + 0x1000));
    device.awaitRequests(1);
    CHECK_EQUAL(device.memory.status(0x1000), 0);
  };
  const auto ends = [&](uint8_t status) {
    await("the record", [&] { return device.memory.status(0x1000) != 0; });
    CHECK_EQUAL(device.memory.status(0x1000), status);
  };
  // The source counts first, even if the destination is known to be bad before the source has answered.
  submit(move(kMessages, kNowhere, 64));
  CHECK(device.client->answer(EIO));
  ends(0x03);
  CHECK_EQUAL(device.memory.load<uint64_t>(0x1008), kMessages);
  submit(move(kMessages, kNowhere, 64));
  CHECK(device.client->answer());
  ends(0x83);
  CHECK_EQUAL(device.memory.load<uint64_t>(0x1008), kNowhere);
  // What could not be delivered does not count, neither as bytes nor in the checksum.
  std::memcpy(device.memory.at(0x20000), "123456789", 9);
  std::memset(device.memory.at(0x20009), 1, 0x20000);
  const uint32_t first = 0x10000;
  const Build copy = Build(dsa::kOpCopyWithCrc, kRecordFlags).addresses(kBase + 0x20000, kMessages).size(0x18000);
  submit(Build(copy));
  CHECK(device.client->answer());
  device.awaitRequests(1);
  CHECK(device.client->answer(EIO));
  ends(0x83);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x1004), first);
  CHECK_EQUAL(device.memory.load<uint64_t>(0x1008), kMessages + first);
  const uint32_t checksum = device.memory.load<uint32_t>(0x1010);
  const Build whole = Build(dsa::kOpCrcGeneration).set<uint64_t>(16, kBase + 0x20000).size(first);
  CHECK_EQUAL(device.execute(0, whole, 0x1000), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x1010), checksum);
}

/// Aborted between the status byte and the interrupt: the guest may have seen it end, so the interrupt comes.
void testAbortAfterStatus() {
  MessageDevice device(1);
  device.enable(0, Device::config());
  device.submit(0, noOp().record(kMessages + 0x1000).interrupt(4));
  device.answer(1);
  device.awaitRequests(1);
  device.queues->command(command({0}, false, true));
  device.awaitVector(0);
  CHECK_EQUAL(device.raised(4), 1u);
  CHECK_EQUAL(device.counters(0).completed, 1u);
  CHECK_EQUAL(device.queues->softwareErrors(), 0u);
}

/// Aborted or reset while an engine is about to send: the message does not go out afterwards, and nobody waits for it.
void testAbortBeforeSubmit() {
  for (const bool statusByte : {false, true}) {
    for (const bool reset : {false, true}) {
      MessageDevice device(1);
      device.enable(0, Device::config());
      std::atomic<int> submits{0};
      std::atomic<bool> goOn{false};
      const int held = statusByte ? 2 : 1;
      device.client->beforeSubmit = [&] {
        if (++submits != held) return;
        await("the abort", [&] { return goOn.load(); });
      };
      device.submit(0, noOp().record(kMessages + 0x1000).interrupt(4));
      if (statusByte) device.answer(1);
      await("the engine", [&] { return submits == held; });
      if (reset) {
        const std::shared_ptr<QueueRun> run = device.queues->queue(0).run();
        std::thread release([&] {
          await("the reset", [&] { return run->detached(); });
          goOn = true;
        });
        device.queues->reset();
        release.join();
        CHECK_EQUAL(device.client->waiting(), 0u);
      } else {
        CHECK(!device.queues->command(command({0}, false, true)));
        goOn = true;
        device.awaitVector(0);
      }
      await("the count", [&] { return device.counters(0).abandoned == 1; });
      CHECK_EQUAL(device.client->waiting(), 0u);
      CHECK_EQUAL(submits.load(), held);
      CHECK_EQUAL(device.raised(4), 0u);
      CHECK_EQUAL(device.behind.status(0x1000), 0);
      CHECK_EQUAL(device.queues->softwareErrors(), 0u);
    }
  }
}

/// A client goes while the status of its record is on its way: the next one hears nothing of that, be it here or from a
/// device that goes on for this one.
void testNextClientHearsNothing() {
  for (const bool answered : {false, true}) {
    for (const bool inBatch : {false, true}) {
      for (const bool suspends : {false, true}) {
        MessageDevice device(1);
        device.enable(0, Device::config());
        const Build told = noOp().record(kMessages + 0x1000).interrupt(4);
        for (uint64_t at = 0x8000; at < 0x8080; at += 64) {
          std::memcpy(device.memory.at(at), told.descriptor().bytes.data(), 64);
        }
        device.submit(0, inBatch ? batchOf(kBase + 0x8000, 2).record(kBase + 0x9000) : told);
        device.answer(1);
        device.awaitRequests(1);
        if (suspends) {
          device.queues->suspend();
          if (answered) device.answer(1);
          device.queues->portal()->clientGone();
          CHECK(device.queues->settled());
          const std::vector<std::byte> state = device.queues->state();
          std::vector<std::optional<QueueDevice::RestoredQueue>> queues(kQueues);
          queues[0] = QueueDevice::RestoredQueue{Device::config(), device.group};
          device.queues->restore(state, queues);
          CHECK(device.queues->state() == state);
          device.queues->resume();
        } else {
          device.queues->portal()->clientGone();
        }
        await("the count", [&] { return device.counters(0).abandoned == 1; });
        CHECK_EQUAL(device.counters(0).completed, 0u);
        CHECK_EQUAL(device.raised(4), 0u);
        CHECK_EQUAL(device.execute(0, noOp().interrupt(4), 0x3000), dsa::kStatusSuccess);
        device.awaitVector(4);
        CHECK_EQUAL(device.raised(4), 1u);
      }
    }
  }
}

/// What others have asked of the client goes on: other queues, and the device itself.
void testAbortLeavesOthers() {
  class Own final : public MessageRequest {
   public:
    void finished(int error) override { result = error; }
    int result = -1;
  };
  for (const bool reset : {false, true}) {
    MessageDevice device(1);
    Device neighbour;
    neighbour.dma->setMessageDma(device.client);
    CHECK_EQUAL(neighbour.dma->map(kMessages, device.behind.size(), kBoth, FileDescriptor(), 0), 0);
    neighbour.queues->enable(0, Device::config(), device.group);
    device.enable(0, Device::config());
    device.enable(1, Device::config());
    const auto own = std::make_shared<Own>();
    own->address = kMessages;
    own->count = 64;
    device.client->submit(own);
    device.submit(0, device.slow(0));
    device.submit(1, device.slow(64));
    neighbour.submit(0, device.slow(128));
    device.awaitRequests(4);
    if (reset) {
      device.queues->reset();
      device.awaitRequests(2);
    } else {
      device.queues->command(command({0}, true, true));
      device.awaitVector(0);
      device.awaitRequests(3);
      CHECK_EQUAL(device.counters(0).abandoned, 1u);
    }
    CHECK_EQUAL(own->result, -1);
    CHECK(device.client->answer());
    CHECK_EQUAL(own->result, 0);
    device.answer(reset ? 2 : 4);
    await("the neighbour", [&] { return neighbour.queues->queue(0).counters().completed == 1; });
    if (!reset) await("the other queue", [&] { return device.counters(1).completed == 1; });
    neighbour.dma->setMessageDma(nullptr);
  }
}

/// The arbiter asked directly, with an engine whose thread has ended: queues with pending work share dispatches as
/// their priorities say.
void testArbiter() {
  Device device;
  device.mapAll();
  const auto engine = std::make_shared<Engine>("asked");
  engine->close();
  device.group->setEngines({engine});
  const std::array<uint32_t, 3> priorities{6, 2, 1};
  for (uint32_t queue = 0; queue < 3; ++queue) {
    device.enable(queue, Device::config(256, priorities[queue]));
    for (uint32_t i = 0; i < 200; ++i) device.submit(queue, noOp());
  }
  EpochDomain::Reader reader;
  std::array<uint32_t, 3> dispatched{};
  const auto dispatch = [&] {
    Job* const job = device.group->take(*engine);
    CHECK(job != nullptr);
    {
      const EpochGuard guard(reader, job->epochs());
      CHECK(job->turn() == Turn::completed);
    }
    const auto run = job->release();
    run->finish(*job, true);
    return run->index;
  };
  for (int round = 1; round <= 20; ++round) {
    for (int i = 0; i < 9; ++i) ++dispatched[dispatch()];
    for (uint32_t queue = 0; queue < 3; ++queue) CHECK_EQUAL(dispatched[queue], round * priorities[queue]);
  }
  // A queue without work does not hold the others up, and the credits of one that has none left come back.
  device.queues->command(command({0}, true, true));
  for (int i = 0; i < 9; ++i) ++dispatched[dispatch()];
  CHECK_EQUAL(dispatched[1], 46u);
  CHECK_EQUAL(dispatched[2], 23u);

  // One engine has one descriptor of a queue at a time; another engine may have the next.
  Job* const first = device.group->take(*engine);
  Job* const second = device.group->take(*engine);
  CHECK(first != nullptr && second != nullptr);
  CHECK(device.group->take(*engine) == nullptr);
  CHECK(!device.group->idle(*engine) == false);
  for (Job* const job : {first, second}) {
    const auto run = job->release();
    run->finish(*job, false);
  }
  CHECK(!device.group->idle(*engine));
}

}  // namespace

int main() {
  testAtOnce();
  testRightAfterTheEnd();
  testDrainCommand();
  testNewerWorkDoesNotDelay();
  testStopAccepting();
  testAbortCommand();
  testAbortAtChunk();
  testDrainDescriptor();
  testReset();
  testSilentClient();
  testByMessage();
  testMixedMaps();
  testLateFaults();
  testAbortAfterStatus();
  testAbortBeforeSubmit();
  testNextClientHearsNothing();
  testAbortLeavesOthers();
  testArbiter();
}
