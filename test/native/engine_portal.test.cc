// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Portals: how descriptors are put together from writes, and what is dropped. Shared queues: engine_portal_shared.
#include "engine/job.h"
#include "engine_support.h"

using namespace engine_test;

// The sanitizer's own; not every compiler installs the header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));

namespace {

constexpr uint64_t kRecord = 0x1000;

/// Counts allocations of this thread while `counting`.
thread_local bool counting = false;
thread_local uint64_t allocations = 0;

uint64_t submitted(const Device& device, uint32_t queue = 0) {
  return device.queues->queue(queue).counters().submitted;
}
uint64_t dropped(const Device& device, uint32_t queue = 0) { return device.queues->queue(queue).counters().dropped; }

void write(const Device& device, uint64_t offset, std::span<const std::byte> data) {
  CHECK(device.queues->portal()->write(offset, data) == Served::done);
  device.queues->portal()->flush();
}
std::span<const std::byte> part(const dsa::Descriptor& descriptor, std::size_t from, std::size_t size) {
  return std::span(descriptor.bytes).subspan(from, size);
}

/// Submits in pieces and looks at what arrived: the descriptor's own record.
void testAssembly() {
  Device device;
  device.mapAll();
  device.addEngines(1);
  device.enable(0, Device::config());
  uint64_t expected = 0;
  uint64_t destination = 0x100000;
  const auto descriptorFor = [&](uint64_t pattern) {
    destination += 64;
    return Build(fillWith(pattern, kBase + destination, 64)).record(kBase + kRecord);
  };
  const auto arrives = [&](uint64_t pattern) {
    ++expected;
    CHECK_EQUAL(submitted(device), expected);
    await("the record", [&] { return device.memory.status(kRecord) != 0; });
    CHECK_EQUAL(device.memory.status(kRecord), dsa::kStatusSuccess);
    CHECK_EQUAL(device.memory.load<uint64_t>(destination), pattern);
    *device.memory.at(kRecord) = std::byte{0};
  };

  // Whole, at every slot of both pages with MSI-X.
  for (uint64_t page = 0; page < 2; ++page) {
    for (uint64_t slot = 0; slot < 64; slot += 21) {
      const dsa::Descriptor descriptor = descriptorFor(slot + 1);
      write(device, page * kPage + slot * 64, descriptor.bytes);
      arrives(slot + 1);
    }
  }
  // In equal pieces of each size, upwards and downwards.
  for (const std::size_t size : {1u, 2u, 4u, 8u, 16u, 32u}) {
    for (const bool upwards : {true, false}) {
      const dsa::Descriptor descriptor = descriptorFor(size);
      for (std::size_t i = 0; i < 64; i += size) {
        CHECK_EQUAL(submitted(device), expected);
        const std::size_t at = upwards ? i : 64 - size - i;
        write(device, 5 * 64 + at, part(descriptor, at, size));
      }
      arrives(size);
    }
  }
  // Two slots at once, interleaved.
  {
    const dsa::Descriptor first = descriptorFor(100);
    const dsa::Descriptor second = descriptorFor(101);
    for (std::size_t at = 0; at < 56; at += 8) {
      write(device, at, part(first, at, 8));
      write(device, 64 + at, part(second, at, 8));
    }
    CHECK_EQUAL(submitted(device), expected);
    write(device, 64 + 56, part(second, 56, 8));
    arrives(101);
    destination -= 64;
    write(device, 56, part(first, 56, 8));
    arrives(100);
    destination += 64;
  }
  // A byte that is already there begins the slot anew.
  {
    const dsa::Descriptor stale = descriptorFor(1);
    const dsa::Descriptor descriptor = descriptorFor(102);
    for (std::size_t at = 0; at < 56; at += 8) write(device, at, part(stale, at, 8));
    for (std::size_t at = 0; at < 64; at += 8) {
      CHECK_EQUAL(submitted(device), expected);
      write(device, at, part(descriptor, at, 8));
    }
    arrives(102);
    // And so does a whole descriptor; what was there does not wait for more.
    write(device, 0, part(stale, 0, 8));
    const dsa::Descriptor whole = descriptorFor(103);
    write(device, 0, whole.bytes);
    arrives(103);
    write(device, 8, part(stale, 8, 56));
    CHECK_EQUAL(submitted(device), expected);
    write(device, 0, part(stale, 0, 8));
    ++expected;
    CHECK_EQUAL(submitted(device), expected);
  }
  // An access over several slots.
  {
    const uint64_t before = submitted(device);
    std::vector<std::byte> bytes(64 * 3);
    const dsa::Descriptor descriptor = noOp();
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = descriptor.bytes[(i + 32) % 64];
    write(device, 10 * 64 + 32, bytes);
    CHECK_EQUAL(submitted(device), before + 2);
    write(device, 10 * 64, part(descriptor, 0, 32));
    CHECK_EQUAL(submitted(device), before + 3);
    write(device, 13 * 64 + 32, part(descriptor, 32, 32));
    CHECK_EQUAL(submitted(device), before + 4);
  }
  await("the rest", [&] { return device.queues->queue(0).counters().completed == submitted(device); });
}

/// One store too many, anywhere in a slot, costs at most the descriptor it belongs to.
void testStrayPieces() {
  Device device;
  device.enable(1, Device::config());
  const dsa::Descriptor descriptor = noOp();
  const auto store = [&](std::size_t at) { write(device, PortalRegion::kQueueStride + at, part(descriptor, at, 8)); };
  uint64_t expected = 0;
  for (std::size_t stray = 0; stray < 64; stray += 8) {
    store(stray);
    for (int turn = 0; turn < 3; ++turn) {
      for (std::size_t at = 0; at < 64; at += 8) {
        CHECK_EQUAL(submitted(device, 1), expected);
        store(at);
      }
      CHECK_EQUAL(submitted(device, 1), ++expected);
    }
    CHECK_EQUAL(dropped(device, 1), stray / 8 + 1);
  }
  // What one client has begun is not completed by the next.
  for (std::size_t at = 0; at < 32; at += 8) store(at);
  device.queues->portal()->clientGone();
  for (std::size_t at = 32; at < 64; at += 8) store(at);
  CHECK_EQUAL(submitted(device, 1), expected);
}

/// Pieces of random sizes against a model that keeps a string for each slot.
void testRandomPieces() {
  Device device;
  device.enable(1, Device::config(0xffff));
  struct Slot {
    std::array<bool, 64> present{};
    int count = 0;
  };
  std::array<Slot, 128> slots;
  uint64_t expected = 0;
  uint64_t lost = 0;
  uint32_t seed = 4711;
  const auto random = [&](uint32_t limit) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
  };
  const std::vector<std::byte> bytes(kPage);
  for (int i = 0; i < 30000; ++i) {
    // Few slots, so that they fill up.
    const uint64_t page = random(2);
    const uint64_t offset = random(4 * 64);
    const uint64_t size = 1 + random(random(3) == 0 ? 130 : 9);
    for (uint64_t at = page * kPage + offset, end = at + size; at < end;) {
      const uint64_t next = std::min(end, (at / 64 + 1) * 64);
      Slot& slot = slots[at / 64];
      bool anew = at % 64 == 0 && slot.count + static_cast<int>(next - at) < 64;
      for (uint64_t byte = at; byte < next; ++byte) anew = anew || slot.present[byte % 64];
      if (anew) {
        if (slot.count > 0) ++lost;
        slot = {};
      }
      for (; at < next; ++at) {
        slot.present[at % 64] = true;
        ++slot.count;
      }
      if (slot.count == 64) {
        slot = {};
        ++expected;
      }
    }
    write(device, PortalRegion::kQueueStride + page * kPage + offset, std::span(bytes).first(size));
    CHECK_EQUAL(submitted(device, 1), expected);
    CHECK_EQUAL(dropped(device, 1), lost);
  }
  CHECK(expected > 300);
  CHECK(lost > 300);
}

void testDropped() {
  Device device;
  device.mapAll();
  const dsa::Descriptor descriptor = noOp();
  const auto pages = kQueues * PortalRegion::kPagesPerQueue;
  // No queue is enabled: nothing arrives, and nothing is an error.
  for (uint64_t page = 0; page < pages + 2; ++page) write(device, page * kPage, descriptor.bytes);
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    CHECK_EQUAL(submitted(device, queue), 0u);
    CHECK_EQUAL(dropped(device, queue), 2u);
  }
  CHECK_EQUAL(device.softwareError(0), 0u);
  // Pages with IMS never take anything; other queues' pages are other queues'.
  device.enable(0, Device::config());
  QueueConfig shared = Device::config();
  shared.dedicated = false;
  device.enable(1, shared);
  for (uint64_t page = 2; page < pages; ++page) write(device, page * kPage, descriptor.bytes);
  CHECK_EQUAL(submitted(device, 0), 0u);
  // A shared queue takes no posted writes of a whole descriptor.
  CHECK_EQUAL(submitted(device, 1), 0u);
  CHECK_EQUAL(dropped(device, 1), 4u);
  // Reads.
  std::array<std::byte, 16> bytes{};
  CHECK(device.queues->portal()->read(3, bytes) == Served::done);
  for (const std::byte byte : bytes) CHECK(byte == std::byte{0xff});

  // Halves do not outlive a disable, a reset or an enable.
  const auto half = [&] { write(device, 0, part(descriptor, 0, 32)); };
  const auto otherHalf = [&] { write(device, 32, part(descriptor, 32, 32)); };
  half();
  CHECK(device.queues->command({{0}, true, false, {}}));
  otherHalf();
  half();
  device.enable(0, Device::config());
  otherHalf();
  CHECK_EQUAL(submitted(device, 0), 0u);
  half();
  CHECK_EQUAL(submitted(device, 0), 1u);
  half();
  device.queues->reset();
  device.enable(0, Device::config());
  otherHalf();
  CHECK_EQUAL(submitted(device, 0), 1u);

  device.queues->close();
  write(device, 0, descriptor.bytes);
  CHECK_EQUAL(submitted(device, 0), 1u);
}

void testFull() {
  Device device;
  device.mapAll();
  device.registers->word32(kRegisters.generalControl).store(1);
  // Bits that are not the occupancy belong to others.
  device.registers->word32(kRegisters.workQueueStatus.at(2)).store(0x60010000);
  device.enable(2, Device::config(8));
  for (uint32_t i = 0; i < 8; ++i) {
    CHECK_EQUAL(device.occupancy(2), i);
    device.submit(2, noOp());
  }
  CHECK_EQUAL(device.softwareError(0), 0u);
  device.submit(2, noOp());
  CHECK_EQUAL(device.softwareError(0), uint64_t{2} << 16 | 0x53 << 8 | 9);
  CHECK_EQUAL(device.raised(0), 1u);
  CHECK_EQUAL(device.occupancy(2), 8u);
  CHECK_EQUAL(device.queues->queue(2).counters().full, 1u);
  device.addEngines(2);
  await("the queue", [&] { return device.queues->queue(2).counters().completed == 8; });
  CHECK_EQUAL(device.registers->word32(kRegisters.workQueueStatus.at(2)).load(), 0x60010000u);
  // Entries leave when they are dispatched, and the ring goes round.
  for (uint32_t i = 0; i < 1000; ++i) {
    await("room", [&] { return device.occupancy(2) < 8; });
    device.submit(2, noOp());
  }
  await("the queue", [&] { return device.queues->queue(2).counters().completed == 1008; });
}

/// One flush wakes as many engines as there is work for, and everything that was posted is executed.
void testFlush() {
  Device device;
  device.mapAll();
  GuestMemory behind(1);
  const auto client = std::make_shared<Client>(behind, 0x8000000000);
  CHECK_EQUAL(device.dma->map(0x8000000000, behind.size(), kBoth, FileDescriptor(), 0), 0);
  device.dma->setMessageDma(client);
  device.addEngines(3);
  for (uint32_t queue = 0; queue < kQueues; ++queue) device.enable(queue, Device::config());
  // Each waits for the client, and keeps no engine from the next one.
  for (int i = 0; i < 3; ++i) device.post(0, move(0x8000000000, kBase, 64));
  device.queues->portal()->flush();
  await("three requests", [&] { return client->waiting() == 3; });
  while (client->answer()) {
  }
  await("their end", [&] { return device.queues->queue(0).run()->inFlight() == 0; });

  uint64_t posted = 3;
  for (int round = 0; round < 2000; ++round) {
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      for (uint32_t i = 0; i < (static_cast<uint32_t>(round) + queue) % 4; ++i) device.post(queue, noOp());
      posted += queue == 0 ? static_cast<uint64_t>(round) % 4 : 0;
    }
    device.queues->portal()->flush();
    // Often enough engines are on their way to sleep.
    await("the burst", [&] {
      for (uint32_t queue = 0; queue < kQueues; ++queue) {
        const QueueCounters& counters = device.queues->queue(queue).counters();
        if (counters.completed != counters.submitted) return false;
      }
      return true;
    });
  }
  CHECK_EQUAL(submitted(device, 0), posted);

  // What was posted before a queue ends is not announced for the next one's sake.
  device.post(1, noOp());
  device.queues->reset();
  device.queues->portal()->flush();
  device.enable(1, Device::config());
  const uint64_t before = device.queues->queue(1).counters().completed;
  device.submit(1, noOp());
  await("the new run", [&] { return device.queues->queue(1).counters().completed == before + 1; });
  device.dma->setMessageDma(nullptr);
}

void testNoAllocation() {
  Device device;
  device.mapAll();
  device.addEngines(1);
  device.enable(0, Device::config(64));
  const dsa::Descriptor descriptor = noOp();
  __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t) { allocations += counting ? 1 : 0; },
                                            [](const volatile void*) {});
  counting = true;
  // The hook works.
  static_cast<void>(std::make_unique<Job>());
  CHECK(allocations > 0);
  allocations = 0;
  for (int i = 0; i < 1000; ++i) {
    for (std::size_t at = 0; at < 64; at += 8) {
      device.queues->portal()->write(static_cast<uint64_t>(i % 64) * 64 + at, part(descriptor, at, 8));
    }
    device.queues->portal()->write(0, descriptor.bytes);
  }
  counting = false;
  CHECK_EQUAL(allocations, 0u);
}

}  // namespace

int main() {
  testAssembly();
  testStrayPieces();
  testRandomPieces();
  testDropped();
  testFull();
  testFlush();
  testNoAllocation();
}
