// Everything at once: devices on owner threads of their own share engines, which come and go, while queues are drained,
// aborted, stopped and reset, memory is unmapped, and a client answers by message.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>

#include "engine_support.h"

namespace engine_test {

inline constexpr uint64_t kBehind = 0x8000000000;
inline constexpr uint64_t kRecords = 0x10000;
inline constexpr uint64_t kRecordsPerGeneration = 0x4000;
inline constexpr uint64_t kData = 0x200000;

/// One owner thread with its device.
class Owner {
 public:
  Owner(std::shared_ptr<Group> group, uint32_t seed)
      : group_(std::move(group)), random_(seed), client_(std::make_shared<Client>(behind_, kBehind)) {
    CHECK_EQUAL(device_.dma->map(kBase, kData, kBoth, device_.memory.fd(), 0), 0);
    mapData();
    CHECK_EQUAL(device_.dma->map(kBehind, behind_.size(), kBoth, FileDescriptor(), 0), 0);
    device_.dma->setMessageDma(client_);
    for (uint32_t queue = 0; queue < kQueues; ++queue) enable(queue);
  }

  void run(uint32_t steps) {
    for (uint32_t step = 0; step < steps; ++step) {
      const uint32_t what = roll(1000);
      if (what < 800) {
        submit(roll(kQueues));
      } else if (what < 960) {
        client_->answer(roll(20) == 0 ? EIO : 0);
      } else if (what < 970) {
        command(false, roll(2) == 0);
      } else if (what < 980) {
        command(true, roll(2) == 0);
      } else if (what < 985) {
        reset();
      } else {
        CHECK_EQUAL(device_.dma->unmap(kBase + kData, device_.memory.size() - kData), 0);
        mapData();
      }
    }
    const auto awaitCommand = [&] {
      device_.queues->portal()->flush();
      await("a command", [&] {
        client_->answer();
        return !device_.queues->commandPending();
      });
    };
    awaitCommand();
    // Everything that was accepted ends.
    device_.queues->command(
        {{0, 1, 2, 3}, true, false, {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {}}});
    awaitCommand();
    CHECK((device_.registers->word32(kRegisters.interruptCause).load() & 2) != 0);
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      const QueueCounters& counters = device_.queues->queue(queue).counters();
      await("abandoned jobs", [&] { return counters.submitted == counters.completed + counters.abandoned; });
      CHECK_EQUAL(device_.occupancy(queue), 0u);
      CHECK(counters.completed > 0);
    }
    device_.queues->close();
    device_.dma->setMessageDma(nullptr);
  }

 private:
  uint32_t roll(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  void mapData() {
    CHECK_EQUAL(device_.dma->map(kBase + kData, device_.memory.size() - kData, kBoth, device_.memory.fd(), kData), 0);
  }
  void enable(uint32_t queue) { device_.queues->enable(queue, Device::config(16, 1 + roll(15)), group_); }
  uint64_t record() {
    // So many that no two descriptors of the time have the same.
    const uint64_t slot = generation_ % 2 * kRecordsPerGeneration + nextRecord_++ % kRecordsPerGeneration;
    return kBase + kRecords + slot * 32;
  }
  /// An address in mapped memory, in memory by message, or nowhere.
  uint64_t address() {
    const uint32_t kind = roll(20);
    if (kind == 0) return kBase + device_.memory.size() - roll(4096);
    if (kind < 3) return kBehind + roll(0x80000);
    return kBase + kData + roll(0x100000);
  }
  uint32_t size() { return 1 + roll(roll(4) == 0 ? 200000 : 3000); }

  Build any() {
    switch (roll(6)) {
      case 0:
        return noOp();
      case 1:
        return move(address(), address(), size());
      case 2:
        return fillWith(random_(), address(), size());
      case 3:
        return Build(dsa::kOpCompare, kRecordFlags).addresses(address(), address()).size(size());
      case 4:
        return Build(dsa::kOpCrcGeneration, kRecordFlags).set<uint64_t>(16, address()).size(size());
      default:
        return Build(static_cast<uint8_t>(roll(32)), roll(4));
    }
  }
  void submit(uint32_t queue) {
    const uint32_t kind = roll(10);
    Build descriptor = any();
    if (kind == 0) descriptor = drain();
    if (kind == 1) {
      const uint64_t list = 0x4000 + queue * 0x1000;
      for (uint32_t i = 0; i < 20; ++i) {
        const Build member = any().record(record()).flags(roll(2));
        std::memcpy(device_.memory.at(list + i * 64), member.descriptor().bytes.data(), 64);
      }
      descriptor = batchOf(kBase + list, 2 + roll(18));
    }
    descriptor.record(record());
    if (roll(2) == 0) descriptor.interrupt(static_cast<uint16_t>(1 + queue));
    if (roll(100) == 0) descriptor.set<uint64_t>(8, kBehind + 0x90000);
    device_.post(queue, descriptor);
    if (roll(3) == 0) device_.queues->portal()->flush();
  }

  void command(bool stop, bool abort) {
    if (device_.queues->commandPending()) return;
    const uint32_t queue = roll(kQueues);
    bool done = device_.queues->command({{queue}, stop, abort, {}});
    device_.queues->portal()->flush();
    if (!stop) return;
    await("a command", [&] {
      client_->answer();
      return done || !device_.queues->commandPending();
    });
    CHECK_EQUAL(device_.queues->queue(queue).run()->inFlight(), 0u);
    enable(queue);
  }

  /// No record of what was abandoned may come after the reset: its half of the records stays as it is until the next
  /// one.
  void reset() {
    CHECK(quiet_ == snapshot());
    device_.queues->reset();
    ++generation_;
    quiet_ = snapshot();
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      CHECK_EQUAL(device_.occupancy(queue), 0u);
      enable(queue);
    }
  }
  /// The records of the generation before this one.
  std::vector<std::byte> snapshot() const {
    if (generation_ == 0) return {};
    const uint64_t from = kRecords + (generation_ + 1) % 2 * kRecordsPerGeneration * 32;
    return {device_.memory.at(from), device_.memory.at(from + kRecordsPerGeneration * 32)};
  }

  Device device_;
  std::shared_ptr<Group> group_;
  std::mt19937 random_;
  GuestMemory behind_{256};
  std::shared_ptr<Client> client_;
  uint64_t generation_ = 0;
  uint64_t nextRecord_ = 0;
  std::vector<std::byte> quiet_;
};

/// Steps of each owner: as many as MDEV_STRESS_STEPS says in a long run.
inline uint32_t stressSteps(uint32_t usual) {
  const char* const text = std::getenv("MDEV_STRESS_STEPS");
  return text == nullptr ? usual : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

inline void stress(uint32_t steps) {
  const std::array<std::shared_ptr<Group>, 2> groups{std::make_shared<Group>(), std::make_shared<Group>()};
  std::vector<std::shared_ptr<Engine>> engines;
  for (int i = 0; i < 4; ++i) engines.push_back(std::make_shared<Engine>("stress"));
  groups[0]->setEngines({engines[0], engines[1]});
  groups[1]->setEngines({engines[2], engines[3]});

  std::atomic<int> running{3};
  std::vector<std::thread> owners;
  for (uint32_t i = 0; i < 3; ++i) {
    owners.emplace_back([&, i] {
      {
        Owner owner(groups[i % 2], 100 + i);
        owner.run(steps);
      }
      --running;
    });
  }
  // Engines change groups, and are replaced.
  std::mt19937 random(1);
  while (running > 0) {
    std::shuffle(engines.begin(), engines.end(), random);
    const auto part = engines.begin() + 1 + random() % 3;
    if (random() % 4 == 0) {
      engines[0]->close();
      engines[0] = std::make_shared<Engine>("stress");
    }
    groups[0]->setEngines({engines.begin(), part});
    groups[1]->setEngines({part, engines.end()});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& owner : owners) owner.join();
  for (const auto& group : groups) group->close();
}

}  // namespace engine_test
