// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Descriptors from the portal to the record: what each operation does, also where guest memory ends or is not mapped.
#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kRecord = 0x1000;
constexpr uint64_t kSource = 0x10000;
constexpr uint64_t kDestination = 0x200000;

uint32_t completed(const Device& device, uint64_t record = kRecord) { return device.memory.load<uint32_t>(record + 4); }
uint64_t faultAddress(const Device& device) { return device.memory.load<uint64_t>(kRecord + 8); }

void setUp(Device& device) {
  device.mapAll();
  device.addEngines(1);
  device.enable(0, Device::config());
}

void testNoOp() {
  Device device;
  setUp(device);
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  for (uint64_t i = 1; i < 32; ++i) CHECK_EQUAL(device.memory.load<uint8_t>(kRecord + i), 0);
  // Record, then interrupt.
  device.submit(0, noOp().record(kBase + 0x2000).interrupt(3));
  device.awaitVector(3);
  CHECK_EQUAL(device.memory.status(0x2000), dsa::kStatusSuccess);
  // Neither record nor interrupt: nothing but the counters tells.
  device.submit(0, noOp());
  await("the counter", [&] { return device.queues->queue(0).counters().completed == 3; });
}

/// Sizes around words, blocks, chunks and pages, and every small misalignment.
void testSizes() {
  Device device;
  setUp(device);
  const uint32_t sizes[] = {1, 7, 8, 63, 64, 65, 255, 256, 257, 4095, 4096, 65535, 65536, 65537, 200001};
  for (const uint32_t size : sizes) {
    for (uint64_t shift = 0; shift < 9; shift += 1 + size / 5000) {
      const uint64_t from = kSource + shift;
      const uint64_t to = kDestination + 3 * shift;
      device.memory.fill(from, size, size);
      std::memset(device.memory.at(to - 8), 0xee, size + 16);
      CHECK_EQUAL(device.execute(0, move(kBase + from, kBase + to, size), kRecord), dsa::kStatusSuccess);
      CHECK_EQUAL(completed(device), 0u);
      CHECK(std::memcmp(device.memory.at(from), device.memory.at(to), size) == 0);
      CHECK_EQUAL(device.memory.load<uint8_t>(to - 1), 0xee);
      CHECK_EQUAL(device.memory.load<uint8_t>(to + size), 0xee);

      const Build compare = Build(dsa::kOpCompare).addresses(kBase + from, kBase + to).size(size);
      CHECK_EQUAL(device.execute(0, compare, kRecord), dsa::kStatusSuccess);
      CHECK_EQUAL(device.memory.load<uint8_t>(kRecord + 1), 0);
      const uint32_t place = size * 2 / 3;
      *device.memory.at(to + place) ^= std::byte{0x10};
      CHECK_EQUAL(device.execute(0, compare, kRecord), dsa::kStatusSuccess);
      CHECK_EQUAL(device.memory.load<uint8_t>(kRecord + 1), 1);
      CHECK_EQUAL(completed(device), place);

      CHECK_EQUAL(device.execute(0, fillWith(0x0807060504030201, kBase + to, size), kRecord), dsa::kStatusSuccess);
      for (uint32_t i = 0; i < size; ++i) CHECK_EQUAL(device.memory.load<uint8_t>(to + i), i % 8 + 1);
      CHECK_EQUAL(device.memory.load<uint8_t>(to - 1), 0xee);
      CHECK_EQUAL(device.memory.load<uint8_t>(to + size), 0xee);
    }
  }
}

void testOverlap() {
  Device device;
  setUp(device);
  for (const int64_t distance : {-70000, -4096, -1, 0, 1, 5, 4096, 70000}) {
    const uint32_t size = 150000;
    const uint64_t to = static_cast<uint64_t>(static_cast<int64_t>(kDestination) + distance);
    device.memory.fill(kDestination, size, 7);
    std::vector<std::byte> expected(device.memory.at(kDestination), device.memory.at(kDestination) + size);
    CHECK_EQUAL(device.execute(0, move(kBase + kDestination, kBase + to, size), kRecord), dsa::kStatusSuccess);
    CHECK(std::memcmp(device.memory.at(to), expected.data(), size) == 0);
  }
}

/// Faults wherever memory ends, and resuming where they say.
void testFaultAndResume() {
  Device device;
  device.addEngines(1);
  device.enable(0, Device::config());
  // The first part of guest memory always, a window for data on request.
  CHECK_EQUAL(device.dma->map(kBase, 0x10000, kBoth, device.memory.fd(), 0), 0);
  const auto mapData = [&](uint64_t from, uint64_t to) {
    CHECK_EQUAL(device.dma->map(kBase + from, to - from, kBoth, device.memory.fd(), from), 0);
  };
  const uint32_t size = 0x24000;
  const uint64_t low = 0x40000;
  for (const int64_t distance : {-0x3000, 0x3000}) {
    const uint64_t from = low + 0x8000 + 77;
    const uint64_t to = from + static_cast<uint64_t>(distance);
    device.memory.fill(from, size, 99);
    std::vector<std::byte> expected(device.memory.at(from), device.memory.at(from) + size);
    // Memory arrives page by page, in the direction of the copy.
    uint64_t first = distance < 0 ? low : low + 0x40000;
    uint64_t last = first;
    uint32_t left = size;
    uint64_t source = from;
    uint64_t destination = to;
    int faults = 0;
    for (;;) {
      const uint8_t status = device.execute(0, move(kBase + source, kBase + destination, left), kRecord);
      if (status == dsa::kStatusSuccess) break;
      ++faults;
      CHECK_EQUAL(status & 0x7f, dsa::kStatusPageFault);
      const bool backward = device.memory.load<uint8_t>(kRecord + 1) == 1;
      // What is left may no longer overlap.
      CHECK_EQUAL(backward, distance > 0 && left > static_cast<uint64_t>(distance));
      CHECK(completed(device) < left);
      left -= completed(device);
      if (!backward) {
        source += completed(device);
        destination += completed(device);
      }
      const uint64_t fault = faultAddress(device) - kBase;
      CHECK(fault < first || fault >= last);
      if (distance > 0) {
        mapData(first - kPage, first);
        first -= kPage;
      } else {
        mapData(last, last + kPage);
        last += kPage;
      }
    }
    CHECK(faults > 30);
    CHECK(std::memcmp(device.memory.at(to), expected.data(), size) == 0);
    CHECK_EQUAL(device.dma->unmap(kBase + first, last - first), 0);
  }
}

void testFaultKinds() {
  Device device;
  device.addEngines(1);
  device.enable(0, Device::config());
  CHECK_EQUAL(device.dma->map(kBase, 0x100000, kBoth, device.memory.fd(), 0), 0);
  CHECK_EQUAL(device.dma->map(kBase + 0x100000, 0x100000, kDmaRead, device.memory.fd(), 0x100000), 0);
  CHECK_EQUAL(device.dma->map(kBase + 0x200000, 0x100000, kDmaWrite, device.memory.fd(), 0x200000), 0);

  // Without the right to write, and without the right to read.
  CHECK_EQUAL(device.execute(0, fillWith(0, kBase + 0xff000, 0x2000), kRecord), 0x83);
  CHECK_EQUAL(completed(device), 0x1000u);
  CHECK_EQUAL(faultAddress(device), kBase + 0x100000);
  CHECK_EQUAL(device.execute(0, move(kBase + 0x1ff000, kBase + 0x20000, 0x2000), kRecord), 0x03);
  CHECK_EQUAL(completed(device), 0x1000u);
  CHECK_EQUAL(faultAddress(device), kBase + 0x200000);
  // A difference before the fault wins.
  device.memory.fill(0xfe000, 0x2000, 1);
  std::memcpy(device.memory.at(0x1fe000), device.memory.at(0xfe000), 0x2000);
  const Build compare = Build(dsa::kOpCompare).addresses(kBase + 0xfe000, kBase + 0x1fe000).size(0x4000);
  CHECK_EQUAL(device.execute(0, compare, kRecord), 0x03);
  CHECK_EQUAL(device.memory.load<uint8_t>(kRecord + 1), 0);
  CHECK_EQUAL(completed(device), 0x2000u);
  *device.memory.at(0xfffff) ^= std::byte{1};
  CHECK_EQUAL(device.execute(0, compare, kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.load<uint8_t>(kRecord + 1), 1);
  CHECK_EQUAL(completed(device), 0x1fffu);

  // Over the end of the address space.
  CHECK_EQUAL(device.dma->map(0xfffffffffffff000, 0x1000, kBoth, device.memory.fd(), 0x300000), 0);
  CHECK_EQUAL(device.execute(0, fillWith(~0ull, 0xffffffffffffff00, 0x100), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.execute(0, fillWith(~0ull, 0xffffffffffffff00, 0x101), kRecord), 0x83);
  CHECK_EQUAL(completed(device), 0x100u);
  CHECK_EQUAL(faultAddress(device), 0u);
  CHECK_EQUAL(device.execute(0, move(0xfffffffffffff000, 0xfffffffffffff800, 0x800), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.execute(0, move(0xfffffffffffff000, 0xfffffffffffff800, 0x801), kRecord), 0x83);
  CHECK_EQUAL(completed(device), 0u);
  CHECK_EQUAL(device.memory.load<uint8_t>(kRecord + 1), 1);
  CHECK(*device.faults >= 5);

  // Bus master off: nothing is reached, not even the record.
  device.dma->setBusMaster(false);
  device.submit(0, noOp().record(kBase + kRecord).interrupt(1));
  await("the error", [&] { return (device.softwareError(0) & 1) != 0; });
  CHECK_EQUAL(device.softwareError(0) >> 8 & 0xff, 0x1au);
  CHECK_EQUAL(device.softwareError(2), kBase + kRecord);
  CHECK_EQUAL(device.softwareError(0) & 0x2c, 0x2cu);
  await("the counter", [&] { return device.queues->queue(0).run()->inFlight() == 0; });
  CHECK_EQUAL(device.raised(1), 0u);
}

/// A client that shrinks its file: the descriptor faults, and the process lives.
void testTruncatedFile() {
  Device device;
  device.addEngines(1);
  device.enable(0, Device::config());
  GuestMemory shrinking(64);
  CHECK_EQUAL(device.dma->map(kBase, 0x100000, kBoth, device.memory.fd(), 0), 0);
  CHECK_EQUAL(device.dma->map(kBase + 0x1000000, shrinking.size(), kBoth, shrinking.fd(), 0), 0);
  CHECK_EQUAL(device.execute(0, fillWith(1, kBase + 0x1000000, 0x40000), kRecord), dsa::kStatusSuccess);
  shrinking.truncate(0x20000);
  CHECK_EQUAL(device.execute(0, fillWith(2, kBase + 0x1000000, 0x40000), kRecord), 0x83);
  // Nothing behind the file's end counts as done.
  CHECK_EQUAL(completed(device), 0x20000u);
  CHECK_EQUAL(device.execute(0, move(kBase + 0x1030000, kBase + 0x20000, 0x100), kRecord), 0x03);
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
}

void testChecksums() {
  Device device;
  setUp(device);
  std::memcpy(device.memory.at(kSource), "123456789", 9);
  const auto crc = [&](uint32_t flags, uint32_t seed, uint32_t size = 9, uint64_t from = kSource) {
    const Build descriptor =
        Build(dsa::kOpCrcGeneration, flags).set<uint64_t>(16, kBase + from).size(size).set<uint32_t>(40, seed);
    CHECK_EQUAL(device.execute(0, descriptor, kRecord), dsa::kStatusSuccess);
    return device.memory.load<uint32_t>(kRecord + 16);
  };
  constexpr uint32_t kRaw = dsa::kFlagBypassCrcInversionAndReflection;
  constexpr uint32_t kStraight = dsa::kFlagBypassDataReflection;
  CHECK_EQUAL(crc(0, 0), 0xE3069283u);
  CHECK_EQUAL(crc(kStraight, 0), 0xA8F022A0u);
  CHECK_EQUAL(crc(kRaw, 0), 0x045FC71Au);
  CHECK_EQUAL(crc(kRaw | kStraight, 0), 0xC052A8C8u);
  CHECK_EQUAL(crc(0, 0x12345678), 0x27D87B6Au);
  CHECK_EQUAL(crc(kRaw, 0x12345678), 0xA1B203F2u);
  CHECK_EQUAL(crc(0, crc(0, 0, 4), 5, kSource + 4), 0xE3069283u);
  CHECK_EQUAL(crc(0, 0, 4096, kDestination), 0x98F94189u);

  // The seed from memory; the previous record's result serves, as SPDK's chains have it.
  CHECK(crc(0, 0, 4) != 0);
  const Build chained = Build(dsa::kOpCrcGeneration, dsa::kFlagReadCrcSeed)
                            .set<uint64_t>(16, kBase + kSource + 4)
                            .size(5)
                            .set<uint64_t>(48, kBase + kRecord + 16);
  CHECK_EQUAL(device.execute(0, chained, 0x3000), dsa::kStatusSuccess);
  CHECK_EQUAL(device.memory.load<uint32_t>(0x3000 + 16), 0xE3069283u);
  const Build unreachable = Build(dsa::kOpCrcGeneration, dsa::kFlagReadCrcSeed)
                                .set<uint64_t>(16, kBase + kSource)
                                .size(5)
                                .set<uint64_t>(48, 0x1000);
  CHECK_EQUAL(device.execute(0, unreachable, kRecord), 0x03);
  CHECK_EQUAL(faultAddress(device), 0x1000u);
}

void testBatch() {
  Device device;
  setUp(device);
  constexpr uint64_t kList = 0x8000;
  const auto put = [&](uint32_t index, const dsa::Descriptor& descriptor) {
    std::memcpy(device.memory.at(kList + index * 64), descriptor.bytes.data(), 64);
    std::memset(device.memory.at(0x4000 + index * 32), 0, 32);
  };
  const auto recordOf = [](uint32_t index) { return 0x4000 + uint64_t{index} * 32; };
  // More members than are fetched at a time, larger than a chunk in all.
  constexpr uint32_t kMembers = 40;
  device.memory.fill(kSource, 0x40000, 5);
  for (uint32_t i = 0; i < kMembers; ++i) {
    put(i, move(kBase + kSource + i * 5000, kBase + kDestination + i * 5000, 5000).record(kBase + recordOf(i)));
  }
  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList, kMembers), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(completed(device), kMembers);
  CHECK(std::memcmp(device.memory.at(kSource), device.memory.at(kDestination), kMembers * 5000) == 0);
  for (uint32_t i = 0; i < kMembers; ++i) CHECK_EQUAL(device.memory.status(recordOf(i)), dsa::kStatusSuccess);

  // A failure does not stop the others; batches and drains may not be members.
  put(0, noOp().record(kBase + recordOf(0)));
  put(1, batchOf(kBase + kList, 2).record(kBase + recordOf(1)));
  put(2, drain().record(kBase + recordOf(2)));
  put(3, noOp().record(kBase + recordOf(3)));
  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList, 4), kRecord), dsa::kStatusBatchMemberFailed);
  CHECK_EQUAL(completed(device), 4u);
  CHECK_EQUAL(device.memory.status(recordOf(1)), dsa::kStatusUnsupportedOperation);
  CHECK_EQUAL(device.memory.status(recordOf(2)), dsa::kStatusUnsupportedOperation);
  CHECK_EQUAL(device.memory.status(recordOf(3)), dsa::kStatusSuccess);

  // A fence behind success lets through; behind anything else, even a comparison whose expectation failed, it ends the
  // batch.
  const Build unequal = Build(dsa::kOpCompare, dsa::kFlagCheckResult)
                            .addresses(kBase + kSource, kBase + kSource + 1)
                            .size(64)
                            .record(kBase + recordOf(1));
  put(0, noOp().record(kBase + recordOf(0)));
  put(1, unequal);
  put(2, noOp().record(kBase + recordOf(2)));
  put(3, noOp().record(kBase + recordOf(3)).flags(dsa::kFlagFence));
  put(4, noOp().record(kBase + recordOf(4)));
  put(5, noOp().record(kBase + recordOf(5)));
  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList, 6), kRecord), dsa::kStatusBatchMemberFailed);
  CHECK_EQUAL(completed(device), 3u);
  CHECK_EQUAL(device.memory.status(recordOf(1)), dsa::kStatusPredicateFalse);
  CHECK_EQUAL(device.memory.status(recordOf(2)), dsa::kStatusSuccess);
  for (uint32_t i = 3; i < 6; ++i) CHECK_EQUAL(device.memory.status(recordOf(i)), 0);

  // A member without a record whose error nobody would see.
  put(1, Build(dsa::kOpCrcGeneration));
  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList, 2), kRecord), dsa::kStatusBatchMemberFailed);
  CHECK_EQUAL(device.softwareError(0) & 0x1f, 0x1du);
  CHECK_EQUAL(device.softwareError(0) >> 8 & 0xff, 0x11u);
  CHECK_EQUAL(device.softwareError(0) >> 32 & 0xff, 0x10u);
  CHECK_EQUAL(device.softwareError(1), uint64_t{0x0c} << 32 | 1);

  // A list that is not there, of a batch without a record: the error says which operand that is.
  for (const bool tells : {false, true}) {
    Device faulting(64, {.overlappingMove = true, .faultInfo = tells});
    setUp(faulting);
    faulting.submit(0, batchOf(0x1000, 2));
    await("the error", [&] { return (faulting.softwareError(0) & 1) != 0; });
    CHECK_EQUAL(faulting.softwareError(0) & 0xffff, tells ? 0x068du : 0x060du);
    CHECK_EQUAL(faulting.softwareError(1), tells ? uint64_t{1} << 61 : 0u);
    CHECK_EQUAL(faulting.softwareError(2), 0x1000u);
  }

  // The list ends where memory ends: what lies before is done.
  const uint64_t end = device.memory.size();
  for (uint32_t i = 0; i < 3; ++i) {
    std::memset(device.memory.at(recordOf(i)), 0, 32);
    const Build member = noOp().record(kBase + recordOf(i));
    std::memcpy(device.memory.at(end - 3 * 64 + i * 64), member.descriptor().bytes.data(), 64);
  }
  CHECK_EQUAL(device.execute(0, batchOf(kBase + end - 3 * 64, 10), kRecord), dsa::kStatusBatchListFault);
  CHECK_EQUAL(completed(device), 3u);
  CHECK_EQUAL(faultAddress(device), kBase + end);
  CHECK_EQUAL(device.memory.status(recordOf(2)), dsa::kStatusSuccess);

  // It does not go on at 0 behind the end of the address space.
  CHECK_EQUAL(device.dma->map(0xfffffffffffff000, kPage, kBoth, device.memory.fd(), kList), 0);
  CHECK_EQUAL(device.dma->map(0, kPage, kBoth, device.memory.fd(), kList), 0);
  std::memset(device.memory.at(kList), 0, kPage);
  CHECK_EQUAL(device.execute(0, batchOf(0xffffffffffffffc0, 2), kRecord), dsa::kStatusBatchListFault);
  CHECK_EQUAL(completed(device), 1u);
  CHECK_EQUAL(faultAddress(device), 0u);
  CHECK_EQUAL(device.execute(0, batchOf(0xffffffffffffff80, 2), kRecord), dsa::kStatusSuccess);

  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList, 1), kRecord), dsa::kStatusDescriptorCount);
  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList, 1025), kRecord), dsa::kStatusDescriptorCount);
  CHECK_EQUAL(device.execute(0, batchOf(kBase + kList + 32, 2), kRecord), dsa::kStatusListAlignment);
}

void testInterruptHandles() {
  Device device;
  setUp(device);
  QueueConfig config = Device::config();
  config.pasid = Pasid{0x12345, false};
  device.enable(1, config);
  const auto permission = [&](uint32_t vector) {
    return device.registers->word32(kRegisters.msixPermissions.at(vector));
  };

  CHECK_EQUAL(device.execute(0, noOp().interrupt(kVectors), kRecord), dsa::kStatusInterruptHandle);
  CHECK_EQUAL(device.execute(0, noOp().interrupt(kVectors - 1), kRecord), dsa::kStatusSuccess);
  device.awaitVector(kVectors - 1);
  // An entry for a submitter, and a queue without one; then the other way round.
  permission(2).store(0x12345 << 12 | 8);
  CHECK_EQUAL(device.execute(0, noOp().interrupt(2), kRecord), dsa::kStatusInterruptHandle);
  CHECK_EQUAL(device.execute(1, noOp().interrupt(2), kRecord), dsa::kStatusSuccess);
  device.awaitVector(2);
  CHECK_EQUAL(device.execute(1, noOp().interrupt(3), kRecord), dsa::kStatusInterruptHandle);
  permission(2).store(0x12346 << 12 | 8);
  CHECK_EQUAL(device.execute(1, noOp().interrupt(2), kRecord), dsa::kStatusInterruptHandle);
  // Ignored: not even pending.
  CHECK_EQUAL(device.raised(2), 1u);
  permission(4).store(4);
  CHECK_EQUAL(device.execute(0, noOp().interrupt(4), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.raised(4), 0u);
  // Masked: pending until it is unmasked.
  device.irqs->setMasked(5, true);
  CHECK_EQUAL(device.execute(0, noOp().interrupt(5), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  CHECK(device.irqs->pending(5));
  device.irqs->setMasked(5, false);
  CHECK_EQUAL(device.raised(5), 1u);
  // A failed descriptor still interrupts when its handle is good.
  CHECK_EQUAL(device.execute(0, move(kBase, kBase + kSource, 0).interrupt(6), kRecord), dsa::kStatusTransferSize);
  device.awaitVector(6);
}

void testSoftwareErrors() {
  Device device;
  setUp(device);
  const auto control = device.registers->word32(kRegisters.generalControl);
  const auto cause = device.registers->word32(kRegisters.interruptCause);
  control.store(1);
  // A misaligned record: that is told, and nothing else happens.
  device.memory.fill(kSource, 64, 3);
  device.submit(0, move(kBase + kSource, kBase + kDestination, 64).record(kBase + 0x1010).interrupt(1));
  device.awaitVector(0);
  CHECK_EQUAL(device.raised(0), 1u);
  CHECK_EQUAL(cause.load(), 1u);
  CHECK_EQUAL(device.softwareError(0), uint64_t{0x03} << 32 | 0x1b << 8 | 0x0d);
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.raised(1), 0u);
  CHECK_EQUAL(device.memory.load<uint64_t>(kDestination), 0u);

  // While it is there, others overflow and stay silent.
  device.submit(0, Build(0xff));
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.softwareError(0), uint64_t{0x03} << 32 | 0x1b << 8 | 0x0f);
  CHECK_EQUAL(device.raised(0), 0u);

  // Cleared, the next one is told again, although its cause bit is still set.
  device.clearSoftwareError();
  device.submit(0, Build(0xff));
  device.awaitVector(0);
  CHECK_EQUAL(device.raised(0), 1u);
  CHECK_EQUAL(device.softwareError(0), uint64_t{0xff} << 32 | 0x10 << 8 | 0x0d);
  CHECK_EQUAL(device.queues->softwareErrors(), 3u);

  // The guest clears the valid bit, but not the overflow that it has not seen yet: that stays.
  device.submit(0, Build(0xff));
  CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
  device.registers->word64(kRegisters.softwareError).fetch_and(~uint64_t{1});
  device.submit(0, Build(0xfe));
  device.awaitVector(0);
  CHECK_EQUAL(device.raised(0), 1u);
  CHECK_EQUAL(device.softwareError(0), uint64_t{0xfe} << 32 | 0x10 << 8 | 0x0f);
  CHECK_EQUAL(device.queues->softwareErrors(), 5u);

  // Without the interrupt enabled there is neither cause nor vector.
  control.store(0);
  cause.store(0);
  device.clearSoftwareError();
  SoftwareError error;
  error.code = 0x52;
  device.queues->recordError(error);
  CHECK_EQUAL(device.softwareError(0), 0x5201u);
  CHECK_EQUAL(cause.load(), 0u);
  CHECK_EQUAL(device.raised(0), 0u);
}

void testLimits() {
  Device device;
  device.mapAll();
  device.addEngines(1);
  QueueConfig config = Device::config();
  config.limits.maxTransfer = 0x1000;
  config.limits.operations.reset(dsa::kOpFill);
  config.limits.maxBatch = 4;
  device.enable(0, config);
  CHECK_EQUAL(device.execute(0, move(kBase + kSource, kBase + kDestination, 0x1000), kRecord), dsa::kStatusSuccess);
  CHECK_EQUAL(device.execute(0, move(kBase + kSource, kBase + kDestination, 0x1001), kRecord),
              dsa::kStatusTransferSize);
  CHECK_EQUAL(device.execute(0, fillWith(0, kBase, 8), kRecord), dsa::kStatusUnsupportedOperation);
  CHECK_EQUAL(device.execute(0, batchOf(kBase, 5), kRecord), dsa::kStatusDescriptorCount);

  Device strict(64, {.overlappingMove = false});
  strict.mapAll();
  strict.addEngines(1);
  strict.enable(0, Device::config());
  CHECK_EQUAL(strict.execute(0, move(kBase + 0x2000, kBase + 0x2fff, 0x1000), kRecord), dsa::kStatusOverlap);
  CHECK_EQUAL(strict.execute(0, move(kBase + 0x2000, kBase + 0x3000, 0x1000), kRecord), dsa::kStatusSuccess);
}

}  // namespace

int main() {
  testNoOp();
  testSizes();
  testOverlap();
  testFaultAndResume();
  testFaultKinds();
  testTruncatedFile();
  testChecksums();
  testBatch();
  testInterruptHandles();
  testSoftwareErrors();
  testLimits();
}
