// Devices that are suspended at any moment, go on, or are taken down and go on in another device with the same guest
// memory: every descriptor ends exactly once, and leaves what it would have left without that.
#pragma once

#include <algorithm>
#include <random>

#include "dsa/crc/crc.h"
#include "engine_support.h"

namespace engine_test {

inline constexpr uint64_t kBehind = 0x8000000000;
/// Descriptors that a queue gets, and the memory that each has for itself.
inline constexpr uint32_t kEach = 40;
inline constexpr uint64_t kSlice = 0x40000;
inline constexpr uint64_t kSlices = uint64_t{kQueues} * kEach;
/// Records of descriptors and of batch members, and lists, before the slices.
inline constexpr uint64_t kRecords = 0x1000;
inline constexpr uint64_t kLists = 0x100000;
inline constexpr uint64_t kMembers = 24;
inline constexpr uint64_t kData = 0x200000;

/// Two guest memories: one that is mapped, and one behind the client.
struct Guest {
  GuestMemory memory{(kData + kSlices * kSlice) / kPage};
  GuestMemory behind{kSlices / 4 * kSlice / kPage};
};

/// A device with its engines, its client and its registers: what one process has.
struct Host {
  explicit Host(Guest& guest, unsigned engineCount, const std::vector<int>& eventfds)
      : client(std::make_shared<Client>(guest.behind, kBehind)) {
    dma->setBusMaster(true);
    CHECK_EQUAL(dma->map(kBase, guest.memory.size(), kBoth, guest.memory.fd(), 0), 0);
    CHECK_EQUAL(dma->map(kBehind, guest.behind.size(), kBoth, FileDescriptor(), 0), 0);
    dma->setMessageDma(client);
    std::vector<ForeignFd> fds;
    for (const int fd : eventfds) fds.emplace_back(FileDescriptor(::dup(fd)));
    CHECK_EQUAL(irqs->assign(0, std::move(fds)), 0);
    queues = std::make_unique<QueueDevice>(QueueDeviceOptions{
        registers, dma, faults, irqs, kQueues, kVectors, kRegisters, {.overlappingMove = true, .crc64 = true}});
    for (unsigned i = 0; i < engineCount; ++i) engines.push_back(std::make_shared<Engine>("suspend"));
    group->setEngines(engines);
  }
  ~Host() {
    queues.reset();
    dma->setMessageDma(nullptr);
    group->close();
    for (const auto& engine : engines) engine->close();
  }

  static QueueConfig config() { return Device::config(16); }
  std::vector<std::optional<QueueDevice::RestoredQueue>> settings() const {
    return std::vector<std::optional<QueueDevice::RestoredQueue>>(kQueues, QueueDevice::RestoredQueue{config(), group});
  }
  void enableAll() const {
    for (uint32_t queue = 0; queue < kQueues; ++queue) queues->enable(queue, config(), group);
  }
  /// Suspends as the device's owner does; `patient`: the client answers everything.
  void suspend(bool patient) const {
    queues->suspend();
    if (patient) {
      while (!queues->settled()) CHECK(client->answer());
    } else {
      queues->cancelMessages();
    }
    CHECK(queues->settled());
  }
  void replaceEngine(std::size_t index) {
    engines[index]->close();
    engines[index] = std::make_shared<Engine>("suspend");
    group->setEngines(engines);
  }
  std::vector<uint32_t> words() const {
    std::vector<uint32_t> words;
    for (uint32_t at = 0; at < registers->size(); at += 4) words.push_back(registers->word32(at).load());
    return words;
  }
  /// Goes on for another: its registers, and its state.
  void take(const std::vector<uint32_t>& other, std::span<const std::byte> state,
            std::optional<CommandEffects> effects = std::nullopt) const {
    take(other, state, std::move(effects), settings());
  }
  /// The same where these queues are enabled.
  void take(const std::vector<uint32_t>& other, std::span<const std::byte> state, std::optional<CommandEffects> effects,
            std::span<const std::optional<QueueDevice::RestoredQueue>> enabled) const {
    for (uint32_t at = 0; at < registers->size(); at += 4) registers->word32(at).store(other[at / 4]);
    queues->suspend();
    queues->restore(state, enabled, std::move(effects));
    CHECK(words() == other);
    // It says what it was told.
    const std::vector<std::byte> again = queues->state();
    CHECK(again.size() == state.size() && std::equal(again.begin(), again.end(), state.begin()));
  }

  std::shared_ptr<RegisterMemory> registers = std::make_shared<RegisterMemory>(0x2000);
  std::shared_ptr<DmaSpace> dma = std::make_shared<DmaSpace>();
  std::shared_ptr<IrqTable> irqs = std::make_shared<IrqTable>(kVectors);
  std::shared_ptr<std::atomic<uint64_t>> faults = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<Client> client;
  std::unique_ptr<QueueDevice> queues;
  std::shared_ptr<Group> group = std::make_shared<Group>();
  std::vector<std::shared_ptr<Engine>> engines;
};

/// What one descriptor is to do, and what must be there afterwards: worked out here, without engines.
class Work {
 public:
  Work(Guest& guest, std::mt19937& random, uint32_t number) : guest_(guest), random_(random), number_(number) {
    behind_ = number % 4 == 3;
    offset_ = behind_ ? number / 4 * kSlice : kData + number * kSlice;
    const GuestMemory& memory = behind_ ? guest.behind : guest.memory;
    memory.fill(offset_, kSlice, number + 1);
    expected_.assign(memory.at(offset_), memory.at(offset_) + kSlice);
    switch (number % 3) {
      case 0:
        descriptor_ = overlapping(0, kSlice);
        break;
      case 1:
        descriptor_ = batch();
        break;
      default:
        wide_ = number % 2 == 0;
        crc_ = wide_ ? checksum<dsa::Crc64>(kSlice) : checksum<dsa::Crc32c>(kSlice);
        descriptor_ = Build(dsa::kOpCrcGeneration, wide_ ? dsa::kFlagCrc64 : 0).set<uint64_t>(16, base()).size(kSlice);
        break;
    }
    descriptor_.record(kBase + record()).interrupt(static_cast<uint16_t>(1 + number / kEach));
  }

  const dsa::Descriptor& descriptor() const { return descriptor_.descriptor(); }
  uint64_t record() const { return kRecords + uint64_t{number_} * 32; }

  void check() const {
    CHECK_EQUAL(unsigned{guest_.memory.status(record())}, 1u);
    const GuestMemory& memory = behind_ ? guest_.behind : guest_.memory;
    CHECK(std::memcmp(memory.at(offset_), expected_.data(), kSlice) == 0);
    if (number_ % 3 != 2) return;
    CHECK_EQUAL(wide_ ? guest_.memory.load<uint64_t>(record() + 16) : guest_.memory.load<uint32_t>(record() + 16),
                crc_);
  }

 private:
  uint32_t roll(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  uint64_t base() const { return behind_ ? kBehind + offset_ : kBase + offset_; }
  template <typename Kind>
  typename Kind::Register checksum(uint64_t size) const {
    const auto start = static_cast<typename Kind::Register>(~0ull);
    return ~dsa::crcPortable<Kind>(start, expected_.data(), size, dsa::DataBits::reflected);
  }
  /// A move inside [from, from + room) by a little, upwards or downwards: doing a part of it twice spoils it.
  Build overlapping(uint64_t from, uint64_t room) {
    const uint32_t shift = 1 + roll(5000) % static_cast<uint32_t>(room / 2);
    const auto size = static_cast<uint32_t>(room - shift);
    const bool up = roll(2) == 0;
    const uint64_t source = from + (up ? 0 : shift);
    const uint64_t destination = from + (up ? shift : 0);
    std::memmove(expected_.data() + destination, expected_.data() + source, size);
    return move(base() + source, base() + destination, size);
  }
  Build batch() {
    const uint64_t list = kLists + number_ / 3 * kMembers * 64;
    for (uint32_t i = 0; i < kMembers; ++i) {
      // Members share a half: they follow each other.
      Build member =
          i % 3 == 0 ? overlapping(0, kSlice / 2) : overlapping(kSlice / 2, 1 + roll(kSlice / 2 - 1) / 2 + 2);
      std::memcpy(guest_.memory.at(list + i * 64), member.descriptor().bytes.data(), 64);
    }
    return batchOf(kBase + list, kMembers);
  }

  Guest& guest_;
  std::mt19937& random_;
  const uint32_t number_;
  bool behind_ = false;
  uint64_t offset_ = 0;
  std::vector<std::byte> expected_;
  /// Of a checksum: whether it has 64 bits, and what it must be.
  bool wide_ = false;
  uint64_t crc_ = 0;
  Build descriptor_ = noOp();
};

/// What a suspended device must leave alone.
struct Stillness {
  Stillness(const Guest& guest, const Host& host) : words(host.words()) {
    for (uint64_t at = 0; at + sizeof sum <= guest.memory.size(); at += 1000) {
      sum = sum * 31 + guest.memory.load<uint64_t>(at);
    }
  }
  bool operator==(const Stillness& other) const { return words == other.words && sum == other.sum; }

  std::vector<uint32_t> words;
  uint64_t sum = 0;
};

struct SuspendCounts {
  uint32_t suspended = 0;
  uint32_t moved = 0;
  /// Suspensions that found descriptors in flight.
  uint32_t busy = 0;
  /// Engines that ended, with whatever they had.
  uint32_t replaced = 0;
};

/// Submits everything from one owner thread, and suspends now and then.
inline SuspendCounts suspendUnderLoad(uint32_t seed) {
  std::mt19937 random(seed);
  const auto roll = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
  Guest guest;
  std::vector<Work> work;
  for (uint32_t number = 0; number < kSlices; ++number) work.emplace_back(guest, random, number);
  std::vector<int> eventfds;
  for (uint32_t vector = 0; vector < kVectors; ++vector) eventfds.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

  SuspendCounts counts;
  auto host = std::make_unique<Host>(guest, 3, eventfds);
  host->enableAll();
  std::array<uint32_t, kQueues> submitted{};
  const auto completed = [&] {
    uint64_t sum = 0;
    for (uint32_t queue = 0; queue < kQueues; ++queue) sum += host->queues->queue(queue).counters().completed;
    return sum;
  };
  // The last bytes of a descriptor may come much later than its first, and elsewhere.
  std::array<uint32_t, kQueues> half{};
  const auto write = [&](uint32_t queue, uint32_t from, uint32_t to) {
    const dsa::Descriptor& descriptor = work[queue * kEach + submitted[queue]].descriptor();
    host->queues->portal()->write(queue * PortalRegion::kQueueStride + from,
                                  std::span(descriptor.bytes).subspan(from, to - from));
  };
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  while (completed() < kSlices) {
    CHECK(std::chrono::steady_clock::now() < limit);
    const uint32_t queue = roll(kQueues);
    const uint32_t what = roll(100);
    if (what < 40 && submitted[queue] < kEach && host->queues->queue(queue).run()->waiting() < 16) {
      if (half[queue] == 0 && roll(2) == 0) {
        half[queue] = 8 * (1 + roll(7));
        write(queue, 0, half[queue]);
      } else {
        write(queue, half[queue], 64);
        half[queue] = 0;
        ++submitted[queue];
        host->queues->portal()->flush();
      }
    } else if (what < 85) {
      host->client->answer();
    } else if (what < 95) {
      host->suspend(roll(2) == 0);
      ++counts.suspended;
      const uint32_t inFlight = host->queues->queue(queue).run()->inFlight();
      counts.busy += inFlight > 0 ? 1 : 0;
      const Stillness before(guest, *host);
      if (roll(2) == 0) {
        const std::vector<std::byte> state = host->queues->state();
        const std::vector<uint32_t> words = host->words();
        host = std::make_unique<Host>(guest, 1 + roll(4), eventfds);
        host->take(words, state);
        CHECK_EQUAL(host->queues->queue(queue).run()->inFlight(), inFlight);
        ++counts.moved;
      }
      ::sched_yield();
      CHECK(before == Stillness(guest, *host));
      host->queues->resume();
    } else if (what < 97) {
      host->replaceEngine(roll(static_cast<uint32_t>(host->engines.size())));
      ++counts.replaced;
    } else {
      ::sched_yield();
    }
  }
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    const QueueCounters& queueCounts = host->queues->queue(queue).counters();
    CHECK_EQUAL(queueCounts.submitted.load(), uint64_t{kEach});
    CHECK_EQUAL(queueCounts.completed.load(), uint64_t{kEach});
    CHECK_EQUAL(queueCounts.abandoned.load(), 0u);
    CHECK_EQUAL(host->registers->word32(kRegisters.workQueueStatus.at(queue)).load() & 0xffff, 0u);
    // An eventfd counts how often it was signalled.
    uint64_t raised = 0;
    CHECK(::read(eventfds[1 + queue], &raised, sizeof raised) == sizeof raised);
    CHECK_EQUAL(raised, uint64_t{kEach});
  }
  CHECK_EQUAL(host->faults->load(), 0u);
  for (const Work& one : work) one.check();
  host.reset();
  for (const int fd : eventfds) ::close(fd);
  return counts;
}

inline void suspendRuns(uint32_t runs) {
  SuspendCounts all;
  for (uint32_t run = 0; run < runs; ++run) {
    const SuspendCounts counts = suspendUnderLoad(1 + run);
    all.suspended += counts.suspended;
    all.moved += counts.moved;
    all.busy += counts.busy;
    all.replaced += counts.replaced;
  }
  std::printf("suspended %u times, %u of them busy, moved %u times, %u engines replaced\n", all.suspended, all.busy,
              all.moved, all.replaced);
  CHECK(all.moved > 0 && all.busy > 0 && all.suspended > all.moved);
}

}  // namespace engine_test
