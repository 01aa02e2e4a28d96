// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Commands by PASID against a model that knows of each descriptor whom it acts for: exactly those end, whether they
// wait, are in flight or are in the middle of a batch, and exactly those are waited for; also when the device goes on
// in another one meanwhile.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <random>
#include <set>

#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kBehind = 0x8000000000;
constexpr uint32_t kInProgress = 4;
/// Bytes behind the client that a descriptor has for itself, and each of a batch's members.
constexpr uint64_t kSlice = 512;
constexpr uint64_t kMember = 128;
constexpr uint32_t kMost = 400;
constexpr uint64_t kRecords = 0x1000;
constexpr uint64_t kLists = 0x100000;
constexpr uint32_t kOwn = 5;
const CommandEffects kEffects = {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {}};

/// A queue without PASID, one with its own, and two whose descriptors name theirs.
QueueConfig configOf(uint32_t queue) {
  QueueConfig config = Device::config(64);
  config.dedicated = queue < 2;
  if (queue >= 1) config.pasid = Pasid{kOwn, false};
  return config;
}

struct Guest {
  GuestMemory memory{0x400};
  GuestMemory behind{kMost * kSlice / kPage};
};

/// What one process has of the device.
struct Host {
  Host(Guest& guest, unsigned engineCount) : client(std::make_shared<Client>(guest.behind, kBehind)) {
    dma->setBusMaster(true);
    CHECK_EQUAL(dma->map(kBase, guest.memory.size(), kBoth, guest.memory.fd(), 0), 0);
    CHECK_EQUAL(dma->map(kBehind, guest.behind.size(), kBoth, FileDescriptor(), 0), 0);
    dma->setMessageDma(client);
    queues = std::make_unique<QueueDevice>(
        QueueDeviceOptions{registers, dma, faults, irqs, kQueues, kVectors, kRegisters, {.overlappingMove = true}});
    for (unsigned i = 0; i < engineCount; ++i) engines.push_back(std::make_shared<Engine>("selective"));
    group->setEngines(engines);
  }
  ~Host() {
    queues.reset();
    dma->setMessageDma(nullptr);
    group->close();
    for (const auto& engine : engines) engine->close();
  }
  void enableAll() const {
    for (uint32_t queue = 0; queue < kQueues; ++queue) queues->enable(queue, configOf(queue), group);
  }
  void submit(uint32_t queue, const dsa::Descriptor& descriptor) const {
    const std::shared_ptr<QueueRun>& run = std::as_const(*queues).queue(queue).run();
    CHECK(run->push(descriptor, run->config.size));
    run->announce();
    group->submitted(*run, 1);
  }
  std::unique_ptr<Host> moved(Guest& guest) const {
    queues->suspend();
    queues->cancelMessages();
    const std::vector<std::byte> state = queues->state();
    auto other = std::make_unique<Host>(guest, static_cast<unsigned>(engines.size()));
    for (uint32_t at = 0; at < registers->size(); at += 4) {
      other->registers->word32(at).store(registers->word32(at).load());
    }
    std::vector<std::optional<QueueDevice::RestoredQueue>> settings;
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      settings.push_back(QueueDevice::RestoredQueue{configOf(queue), other->group});
    }
    other->queues->suspend();
    other->queues->restore(state, settings, queues->commandPending() ? std::optional(kEffects) : std::nullopt);
    CHECK(other->queues->state() == state);
    other->queues->resume();
    return other;
  }

  std::shared_ptr<RegisterMemory> registers = std::make_shared<RegisterMemory>(0x2000);
  std::shared_ptr<DmaSpace> dma = std::make_shared<DmaSpace>();
  std::shared_ptr<IrqTable> irqs = std::make_shared<IrqTable>(kVectors);
  std::shared_ptr<std::atomic<uint64_t>> faults = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<Client> client;
  std::unique_ptr<QueueDevice> queues;
  std::shared_ptr<Group> group = std::make_shared<Group>(kInProgress);
  std::vector<std::shared_ptr<Engine>> engines;
};

/// One descriptor of the model.
struct Work {
  uint32_t queue;
  std::optional<uint32_t> pasid;
  uint32_t members;
  enum class State { alive, completed, abandoned } state = State::alive;
};

class Run {
 public:
  Run(uint32_t seed, unsigned engineCount) : random_(seed), host_(std::make_unique<Host>(guest_, engineCount)) {
    guest_.behind.fill(0, guest_.behind.size(), seed);
    host_->enableAll();
  }

  void play() {
    for (int step = 0; step < 150; ++step) {
      switch (roll(12)) {
        case 0:
          if (!host_->queues->commandPending()) command(roll(2) == 0);
          break;
        case 1:
          move();
          break;
        case 2:
          host_->queues->suspend();
          host_->queues->cancelMessages();
          host_->queues->resume();
          break;
        case 3:
        case 4:
        case 5:
        case 6:
          answer();
          break;
        default:
          submit();
      }
      settle();
    }
    while (host_->client->waiting() > 0) {
      answer();
      settle();
    }
    CHECK(!host_->queues->commandPending());
    for (uint32_t number = 0; number < works_.size(); ++number) {
      const bool completed = works_[number].state == Work::State::completed;
      CHECK(completed || works_[number].state == Work::State::abandoned);
      CHECK_EQUAL(unsigned{guest_.memory.status(recordOf(number))}, completed ? 1u : 0u);
      for (uint32_t member = 0; completed && member < works_[number].members; ++member) {
        const uint64_t at = number * kSlice + member * kMember;
        CHECK(std::memcmp(guest_.behind.at(at), guest_.behind.at(at + 64), 64) == 0);
      }
    }
  }

 private:
  static uint64_t recordOf(uint32_t number) { return kRecords + number * dsa::kCompletionRecordSize; }
  static uint32_t numberOf(uint64_t address) { return static_cast<uint32_t>((address - kBehind) / kSlice); }
  uint32_t roll(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  uint32_t alive(uint32_t queue) const {
    return static_cast<uint32_t>(std::count_if(works_.begin(), works_.end(), [&](const Work& work) {
      return work.queue == queue && work.state == Work::State::alive;
    }));
  }

  void submit() {
    const auto number = static_cast<uint32_t>(works_.size());
    const uint32_t queue = roll(kQueues);
    if (number == kMost || alive(queue) >= 60) return;
    const uint32_t named = kOwn + roll(3);
    Work work{queue, named, roll(3) == 0 ? 2 + roll(2) : 1};
    if (queue == 0) work.pasid.reset();
    if (queue == 1) work.pasid = kOwn;
    const auto copy = [&](uint32_t member) {
      const uint64_t at = kBehind + number * kSlice + member * kMember;
      // What a member names instead has no meaning.
      return engine_test::move(at, at + 64, 64).set<uint32_t>(0, member == 0 ? named : kOwn);
    };
    Build descriptor = copy(0);
    if (work.members > 1) {
      const uint64_t list = kLists + number * 4 * dsa::kDescriptorSize;
      for (uint32_t member = 0; member < work.members; ++member) {
        const dsa::Descriptor own = copy(member).set<uint32_t>(0, kOwn + roll(3));
        std::memcpy(guest_.memory.at(list + member * dsa::kDescriptorSize), own.bytes.data(), dsa::kDescriptorSize);
      }
      descriptor = batchOf(kBase + list, work.members).set<uint32_t>(0, named);
    }
    works_.push_back(work);
    host_->submit(queue, descriptor.record(kBase + recordOf(number)));
  }

  void answer() {
    const std::size_t waiting = host_->client->waiting();
    if (waiting > 0) CHECK(host_->client->answer(0, roll(static_cast<uint32_t>(waiting))));
  }

  void command(bool abort) {
    const uint32_t pasid = kOwn + roll(4);
    std::multiset<uint64_t> others;
    for (const uint64_t address : host_->client->addresses()) {
      if (!abort || works_[numberOf(address)].pasid != pasid) others.insert(address);
    }
    host_->registers->word32(kRegisters.interruptCause).store(0);
    awaited_.clear();
    for (uint32_t number = 0; number < works_.size(); ++number) {
      Work& work = works_[number];
      if (work.state != Work::State::alive || work.pasid != pasid) continue;
      if (abort) work.state = Work::State::abandoned;
      if (!abort) awaited_.insert(number);
    }
    // Both are what another queue of the same device is to notice nothing of.
    host_->queues->command({{0, 1, 2, 3}, false, abort, kEffects, pasid});
    const std::vector<uint64_t> now = host_->client->addresses();
    for (const uint64_t address : now) {
      CHECK(!abort || works_[numberOf(address)].pasid != pasid);
      others.erase(address);
    }
    CHECK(others.empty());
    if (abort) await("the abort", [&] { return !host_->queues->commandPending(); });
  }

  void move() { host_ = host_->moved(guest_); }

  /// True when there are new ones.
  bool noteRecords() {
    bool found = false;
    for (uint32_t number = 0; number < works_.size(); ++number) {
      if (works_[number].state != Work::State::alive || guest_.memory.status(recordOf(number)) == 0) continue;
      works_[number].state = Work::State::completed;
      awaited_.erase(number);
      found = true;
    }
    return found;
  }

  /// Waits until engines have come as far as they can, and compares.
  void settle() {
    await("engines", [&] {
      noteRecords();
      std::size_t inFlight = 0;
      for (uint32_t queue = 0; queue < kQueues; ++queue) inFlight += std::min(kInProgress, alive(queue));
      // Whose place another one took in between has its record by now.
      return host_->client->waiting() == inFlight && !noteRecords();
    });
    if (awaited_.empty()) {
      await("the command", [&] { return !host_->queues->commandPending(); });
    } else {
      CHECK(host_->queues->commandPending());
      CHECK_EQUAL(host_->registers->word32(kRegisters.interruptCause).load(), 0u);
    }
    std::array<uint64_t, kQueues> completed{};
    std::array<uint64_t, kQueues> abandoned{};
    std::array<uint32_t, kQueues> waiting{};
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      waiting[queue] = alive(queue) - std::min(kInProgress, alive(queue));
    }
    for (const Work& work : works_) {
      if (work.state == Work::State::completed) ++completed[work.queue];
      if (work.state == Work::State::abandoned) ++abandoned[work.queue];
    }
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      const QueueCounters& counters = std::as_const(*host_->queues).queue(queue).counters();
      await("the counters",
            [&] { return counters.completed == completed[queue] && counters.abandoned == abandoned[queue]; });
      CHECK_EQUAL(host_->registers->word32(kRegisters.workQueueStatus.at(queue)).load() & 0xffff, waiting[queue]);
    }
    checkOrder();
  }

  /// What is in flight are the oldest of a queue: those that were left alone have kept their order.
  void checkOrder() const {
    std::array<std::set<uint32_t>, kQueues> inFlight;
    for (const uint64_t address : host_->client->addresses()) {
      inFlight[works_[numberOf(address)].queue].insert(numberOf(address));
    }
    for (uint32_t queue = 0; queue < kQueues; ++queue) {
      std::set<uint32_t> oldest;
      for (uint32_t number = 0; number < works_.size() && oldest.size() < kInProgress; ++number) {
        if (works_[number].queue == queue && works_[number].state == Work::State::alive) oldest.insert(number);
      }
      CHECK(inFlight[queue] == oldest);
    }
  }

  std::mt19937 random_;
  Guest guest_;
  std::unique_ptr<Host> host_;
  std::vector<Work> works_;
  /// What the command that is pending waits for.
  std::set<uint32_t> awaited_;
};

/// A drain in a shared queue waits for the descriptors of its own PASID, and nothing else.
void testDrainOfOneSubmitter() {
  Guest guest;
  Host host(guest, 1);
  host.enableAll();
  const auto slow = [](uint32_t number, uint32_t pasid) {
    const uint64_t at = kBehind + number * kSlice;
    return move(at, at + 64, 64).set<uint32_t>(0, pasid).record(kBase + kRecords + number * 32);
  };
  const auto status = [&](uint32_t number) { return unsigned{guest.memory.status(kRecords + number * 32)}; };
  host.submit(2, slow(0, 6));
  host.submit(2, slow(1, 7));
  host.submit(2, drain().set<uint32_t>(0, 7).record(kBase + kRecords + 2 * 32));
  await("requests", [&] { return host.client->waiting() == 2; });
  const auto finish = [&](uint32_t number) {
    for (int request = 0; request < 2; ++request) {
      const auto place = [&] {
        const std::vector<uint64_t> addresses = host.client->addresses();
        return static_cast<std::size_t>(
            std::find_if(addresses.begin(), addresses.end(),
                         [&](uint64_t address) { return (address - kBehind) / kSlice == number; }) -
            addresses.begin());
      };
      await("a request", [&] { return place() < host.client->waiting(); });
      CHECK(host.client->answer(0, place()));
    }
    await("its record", [&] { return status(number) == 1; });
  };
  // Another's end does not end it, and nothing waits for it.
  host.submit(2, slow(3, 6));
  finish(3);
  CHECK_EQUAL(status(2), 0u);
  finish(1);
  await("the drain", [&] { return status(2) == 1; });
  CHECK_EQUAL(status(0), 0u);
  finish(0);
}

/// What a privileged submitter of a shared queue may ask for, its descriptor may have asked for in a state, too: here
/// an interrupt, which those of users may not have.
void testPrivilegedState() {
  Guest guest;
  const auto config = [] {
    QueueConfig own = configOf(2);
    own.pasid->privileged = true;
    own.limits.completionInterrupts = false;
    return own;
  }();
  // The interrupt is that submitter's.
  const auto allow = [](const Host& own) {
    own.registers->word32(kRegisters.msixPermissions.at(1)).store(1u << 3 | 6u << 12);
  };
  Host host(guest, 1);
  allow(host);
  host.queues->enable(2, config, host.group);
  host.submit(2, move(kBehind, kBase, 64).set<uint32_t>(0, 6 | 1u << 31).record(kBase + kRecords).interrupt(1));
  await("a request", [&] { return host.client->waiting() == 1; });
  host.queues->suspend();
  host.queues->cancelMessages();
  Host other(guest, 1);
  allow(other);
  std::vector<std::optional<QueueDevice::RestoredQueue>> settings(kQueues);
  settings[2] = QueueDevice::RestoredQueue{config, other.group};
  other.queues->suspend();
  other.queues->restore(host.queues->state(), settings);
  other.queues->resume();
  await("its end", [&] {
    other.client->answer();
    return guest.memory.status(kRecords) == 1;
  });
}

/// A state is one that releases before could read, as long as nothing in it is new.
void testStateVersions() {
  const auto version = [](const Host& host) {
    host.queues->suspend();
    host.queues->cancelMessages();
    const std::vector<std::byte> state = host.queues->state();
    return std::to_integer<unsigned>(state.at(4));
  };
  const auto slow = [](uint32_t number, uint32_t pasid) {
    const uint64_t at = kBehind + number * kSlice;
    return move(at, at + 64, 64).set<uint32_t>(0, pasid).record(kBase + kRecords + number * 32);
  };
  for (const bool selective : {false, true}) {
    Guest guest;
    Host host(guest, 1);
    host.enableAll();
    host.submit(2, slow(0, 6));
    host.submit(2, slow(1, 7));
    await("requests", [&] { return host.client->waiting() == 2; });
    QueueDevice::Command drainAll{{2}, false, false, kEffects};
    if (selective) drainAll.pasid = 7;
    CHECK(!host.queues->command(std::move(drainAll)));
    CHECK_EQUAL(version(host), selective ? 3u : 2u);
  }
}

}  // namespace

int main() {
  testDrainOfOneSubmitter();
  testPrivilegedState();
  testStateVersions();
  for (uint32_t seed = 1; seed <= 24; ++seed) {
    std::printf("seed %u\n", seed);
    Run(seed, 1 + seed % 3).play();
  }
  return 0;
}
