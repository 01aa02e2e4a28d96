// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Portals of shared queues: which writes they take, when they say Retry, and what a slot says afterwards. Random writes
// against a model are in test/engine/portals.test.ts.
#include "engine/job.h"
#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kRecord = 0x1000;
constexpr uint64_t kLimited = kPage;
constexpr uint64_t kShared = PortalRegion::kQueueStride;  // queue 1

QueueConfig shared(uint32_t size, uint32_t threshold) {
  QueueConfig config = Device::config(size);
  config.dedicated = false;
  config.threshold = threshold;
  return config;
}

const QueueCounters& counters(const Device& device, uint32_t queue = 1) {
  return device.queues->queue(queue).counters();
}

/// ENQCMD: true when it was taken.
bool enqueue(const Device& device, uint64_t at, const dsa::Descriptor& descriptor = noOp()) {
  const Served served = device.queues->portal()->write(at, descriptor.bytes, {64, false});
  CHECK(served == Served::done || served == Served::retry);
  device.queues->portal()->flush();
  return served == Served::done;
}

/// MOVDIR64B.
void store(const Device& device, uint64_t at, const dsa::Descriptor& descriptor = noOp()) {
  CHECK(device.queues->portal()->write(at, descriptor.bytes) == Served::done);
  device.queues->portal()->flush();
}

/// ENQCMD as a guest does it that has no 64-byte stores.
void pieces(const Device& device, uint64_t at, std::size_t size = 8, const dsa::Descriptor& descriptor = noOp()) {
  for (std::size_t from = 0; from < 64; from += size) {
    const auto part = std::span(descriptor.bytes).subspan(from, size);
    // Whether each is posted makes no difference.
    const Arrival arrival{size, from % 16 == 0};
    CHECK(device.queues->portal()->write(at + from, part, arrival) == Served::done);
  }
  device.queues->portal()->flush();
}

/// What a slot says: 0x00 or 0xff throughout, however it is read.
uint8_t answer(const Device& device, uint64_t at) {
  std::array<std::byte, 64> bytes{};
  CHECK(device.queues->portal()->read(at, bytes) == Served::done);
  for (const std::byte byte : bytes) CHECK(byte == bytes[0]);
  for (const std::size_t size : {1u, 2u, 4u, 8u}) {
    std::array<std::byte, 8> few{};
    CHECK(device.queues->portal()->read(at + 64 - size, std::span(few).first(size)) == Served::done);
    for (std::size_t i = 0; i < size; ++i) CHECK(few[i] == bytes[0]);
  }
  CHECK(bytes[0] == std::byte{0} || bytes[0] == std::byte{0xff});
  return static_cast<uint8_t>(bytes[0]);
}
constexpr uint8_t kTaken = 0;
constexpr uint8_t kRetry = 0xff;

void testThresholdAndFull() {
  Device device;
  device.mapAll();
  device.enable(1, shared(8, 3));
  for (int i = 0; i < 3; ++i) CHECK(enqueue(device, kShared + kLimited));
  CHECK_EQUAL(device.occupancy(1), 3u);
  CHECK(!enqueue(device, kShared + kLimited));
  // Unlimited until it is full.
  for (int i = 0; i < 5; ++i) CHECK(enqueue(device, kShared + static_cast<uint64_t>(i) * 64));
  CHECK(!enqueue(device, kShared));
  CHECK(!enqueue(device, kShared + kLimited));
  CHECK_EQUAL(device.occupancy(1), 8u);
  CHECK_EQUAL(counters(device).submitted, 8u);
  CHECK_EQUAL(counters(device).retried, 3u);
  CHECK_EQUAL(counters(device).full, 0u);
  CHECK_EQUAL(counters(device).dropped, 0u);
  // Nothing of that is an error.
  CHECK_EQUAL(device.softwareError(0), 0u);

  // The threshold may change at any time; one above the size counts as that.
  CHECK(device.queues->command({{1}, false, true, {}}));
  device.queues->setThreshold(1, 1);
  CHECK(enqueue(device, kShared + kLimited));
  CHECK(!enqueue(device, kShared + kLimited));
  device.queues->setThreshold(1, 2);
  CHECK(enqueue(device, kShared + kLimited));
  CHECK(!enqueue(device, kShared + kLimited));
  device.queues->setThreshold(1, 0xffff);
  for (int i = 0; i < 6; ++i) CHECK(enqueue(device, kShared + kLimited));
  CHECK(!enqueue(device, kShared + kLimited));
  device.queues->setThreshold(1, 0);
  CHECK(device.queues->command({{1}, false, true, {}}));
  CHECK(!enqueue(device, kShared + kLimited));
  CHECK(enqueue(device, kShared));

  // What waits goes on, and makes room.
  device.addEngines(1);
  await("room", [&] { return device.occupancy(1) == 0; });
  CHECK(enqueue(device, kShared, noOp().record(kBase + kRecord)));
  await("the record", [&] { return device.memory.status(kRecord) != 0; });
}

/// Who takes what: whole or in pieces, posted or not.
void testWhichWrites() {
  Device device;
  device.enable(0, Device::config());
  device.enable(1, shared(32, 32));
  // MOVDIR64B: dedicated only. ENQCMD: shared only.
  store(device, 0);
  CHECK_EQUAL(counters(device, 0).submitted, 1u);
  CHECK(!enqueue(device, 0));
  CHECK_EQUAL(counters(device, 0).submitted, 1u);
  CHECK_EQUAL(counters(device, 0).retried, 1u);
  CHECK_EQUAL(answer(device, 0), kRetry);
  store(device, kShared);
  CHECK_EQUAL(counters(device).submitted, 0u);
  CHECK_EQUAL(counters(device).dropped, 1u);
  CHECK_EQUAL(answer(device, kShared), kRetry);
  CHECK(enqueue(device, kShared));
  CHECK_EQUAL(answer(device, kShared), kTaken);
  store(device, kShared);
  CHECK_EQUAL(answer(device, kShared), kRetry);

  // A half of a dedicated queue stays when it refuses ENQCMD, and a whole one overwrites that of a shared one.
  const dsa::Descriptor descriptor = noOp();
  const auto half = [&](uint64_t at, std::size_t from) {
    CHECK(device.queues->portal()->write(at + from, std::span(descriptor.bytes).subspan(from, 32)) == Served::done);
  };
  half(0, 0);
  CHECK(!enqueue(device, 0));
  half(0, 32);
  CHECK_EQUAL(counters(device, 0).submitted, 2u);
  half(kShared, 0);
  CHECK_EQUAL(answer(device, kShared), kRetry);
  CHECK(enqueue(device, kShared));
  CHECK_EQUAL(counters(device).dropped, 3u);
  half(kShared, 32);
  CHECK_EQUAL(answer(device, kShared), kRetry);
  CHECK_EQUAL(counters(device).submitted, 2u);

  // In pieces of every size, with the answer in the slot.
  uint64_t expected = 2;
  uint64_t at = kShared + kLimited;
  for (const std::size_t size : {1u, 2u, 4u, 8u, 16u, 32u}) {
    at += 3 * 64;
    CHECK_EQUAL(answer(device, at), kRetry);
    pieces(device, at, size);
    CHECK_EQUAL(counters(device).submitted, ++expected);
    CHECK_EQUAL(answer(device, at), kTaken);
    // Its neighbours say nothing.
    CHECK_EQUAL(answer(device, at - 64), kRetry);
    CHECK_EQUAL(answer(device, at + 64), kRetry);
  }
  // An access that is no whole descriptor is never ENQCMD, posted or not.
  std::vector<std::byte> two(128);
  CHECK(device.queues->portal()->write(kShared + 20 * 64, two, {128, false}) == Served::done);
  CHECK_EQUAL(counters(device).submitted, expected + 2);
  CHECK(device.queues->portal()->write(32, std::span(two).first(64), {64, false}) == Served::done);

  // Nobody there: no such queue, one that is not enabled, pages with IMS.
  const uint64_t end = kQueues * PortalRegion::kQueueStride;
  for (uint64_t at = 2 * PortalRegion::kQueueStride; at < end + 2 * kPage; at += kPage) {
    CHECK(!enqueue(device, at));
    store(device, at);
    CHECK_EQUAL(answer(device, at), kRetry);
  }
  for (const uint64_t page : {2u, 3u}) {
    CHECK(!enqueue(device, kShared + page * kPage));
    CHECK(!enqueue(device, page * kPage));
  }
  CHECK_EQUAL(counters(device, 2).retried, 2u);
  device.queues->close();
  CHECK(!enqueue(device, kShared));
  store(device, kShared);
}

/// A slot tells of what was written there last.
void testAnswers() {
  Device device;
  const uint64_t at = kShared + kLimited + 7 * 64;
  device.enable(1, shared(2, 1));
  pieces(device, at);
  CHECK_EQUAL(answer(device, at), kTaken);
  pieces(device, at);
  CHECK_EQUAL(answer(device, at), kRetry);
  CHECK_EQUAL(counters(device).retried, 1u);
  pieces(device, kShared + 7 * 64);
  CHECK_EQUAL(answer(device, kShared + 7 * 64), kTaken);
  CHECK_EQUAL(answer(device, at), kRetry);
  // The first byte of the next descriptor is what was written last; nothing counts as lost by it.
  const dsa::Descriptor descriptor = noOp();
  CHECK(device.queues->portal()->write(kShared + 7 * 64, std::span(descriptor.bytes).first(1)) == Served::done);
  CHECK_EQUAL(answer(device, kShared + 7 * 64), kRetry);
  CHECK_EQUAL(counters(device).dropped, 0u);

  const auto taken = [&] {
    CHECK(device.queues->command({{1}, false, true, {}}));
    pieces(device, at);
    CHECK_EQUAL(answer(device, at), kTaken);
  };
  // An abort takes nothing back, nor does a disable: whoever wrote it may not have looked yet.
  taken();
  CHECK(device.queues->command({{1}, false, true, {}}));
  CHECK_EQUAL(answer(device, at), kTaken);
  CHECK(device.queues->command({{1}, true, false, {}}));
  CHECK_EQUAL(answer(device, at), kTaken);
  pieces(device, at);
  CHECK_EQUAL(answer(device, at), kRetry);
  // Enabled anew it says nothing, as after a reset, and to the next client.
  device.enable(1, shared(2, 1));
  CHECK_EQUAL(answer(device, at), kRetry);
  taken();
  CHECK(device.queues->command({{1}, true, true, {}}));
  CHECK_EQUAL(answer(device, at), kRetry);
  device.enable(1, shared(2, 1));
  taken();
  device.queues->reset();
  CHECK_EQUAL(answer(device, at), kRetry);
  device.enable(1, shared(2, 1));
  taken();
  device.queues->portal()->clientGone();
  CHECK_EQUAL(answer(device, at), kRetry);
}

/// A descriptor of a shared queue acts for whom it names.
void testSubmitters() {
  Device device;
  device.mapAll();
  device.addEngines(1);
  QueueConfig config = shared(32, 32);
  config.pasid = Pasid{0, false};
  config.limits.completionInterrupts = false;
  device.enable(1, config);
  config.pasid = Pasid{0, true};
  device.enable(2, config);
  const auto permission = [&](uint32_t vector) {
    return device.registers->word32(kRegisters.msixPermissions.at(vector));
  };
  constexpr uint32_t kPasidEnabled = 1u << 3;
  permission(3).store(kPasidEnabled | 0x12345u << 12);
  permission(4).store(0);

  const auto run = [&](uint32_t queue, uint32_t who, Build descriptor) {
    std::memset(device.memory.at(kRecord), 0, dsa::kCompletionRecordSize);
    const uint64_t ended = counters(device, queue).completed;
    CHECK(enqueue(device, queue * PortalRegion::kQueueStride, descriptor.set<uint32_t>(0, who)));
    await("its end", [&] { return counters(device, queue).completed == ended + 1; });
    return device.memory.status(kRecord);
  };
  constexpr uint32_t kPrivileged = 1u << 31;
  const Build plain = noOp().record(kBase + kRecord);
  CHECK_EQUAL(run(1, 0x12345, plain), dsa::kStatusSuccess);
  // The kernel's may interrupt, and only it, and only by a handle of its own.
  CHECK_EQUAL(run(1, 0x12345, Build(plain).interrupt(3)), dsa::kStatusInvalidFlags);
  CHECK_EQUAL(run(2, 0x12345, Build(plain).interrupt(3)), dsa::kStatusInvalidFlags);
  CHECK_EQUAL(run(2, kPrivileged | 0x12345, Build(plain).interrupt(3)), dsa::kStatusSuccess);
  device.awaitVector(3);
  CHECK_EQUAL(run(2, kPrivileged | 0x12344, Build(plain).interrupt(3)), dsa::kStatusInterruptHandle);
  CHECK_EQUAL(run(2, kPrivileged | 0x12345, Build(plain).interrupt(4)), dsa::kStatusInterruptHandle);

  // Privilege where there is none is told in SWERROR alone, with who it was.
  CHECK_EQUAL(device.softwareError(0), 0u);
  CHECK_EQUAL(run(1, kPrivileged | 0xabcde, plain), 0u);
  const uint64_t error = device.softwareError(0);
  CHECK_EQUAL(error >> 8 & 0xff, uint64_t{dsa::kStatusPrivilege});
  CHECK_EQUAL(error >> 40 & 0xfffff, uint64_t{0xabcde});
  CHECK_EQUAL(error >> 6 & 1, 1u);
  device.clearSoftwareError();

  // In a queue without PASIDs these bytes mean nothing.
  config.pasid.reset();
  config.limits.completionInterrupts = true;
  device.enable(3, config);
  CHECK_EQUAL(run(3, kPrivileged | 0x12345, Build(plain).interrupt(4)), dsa::kStatusSuccess);
  device.awaitVector(4);

  // The members of a batch act for whoever submitted that.
  constexpr uint64_t kList = 0x2000;
  constexpr uint64_t kMembers = 0x3000;
  for (uint64_t member = 0; member < 2; ++member) {
    const dsa::Descriptor descriptor = noOp().record(kBase + kMembers + member * 64).interrupt(3).set<uint32_t>(0, 0x7);
    std::memcpy(device.memory.at(kList + member * 64), descriptor.bytes.data(), 64);
  }
  CHECK_EQUAL(run(2, kPrivileged | 0x12345, batchOf(kBase + kList, 2).record(kBase + kRecord)), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.status(kMembers), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.status(kMembers + 64), dsa::kStatusSuccess);
}

}  // namespace

int main() {
  testThresholdAndFull();
  testWhichWrites();
  testAnswers();
  testSubmitters();
}
