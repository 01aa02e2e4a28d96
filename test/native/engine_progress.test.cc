// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
//
// Many descriptors of one queue in progress at once, each waiting for the client: what is on the wire, in which orders
// they may end, and that each ends once whatever else happens.
#include <numeric>

#include "engine_suspend.h"

using namespace engine_test;

namespace {

constexpr uint32_t kSeed = 20261121;
constexpr uint32_t kMoves = 96;
/// Source and destination of each move, all behind the client.
constexpr uint64_t kPlace = 0x28000;
constexpr uint64_t kRecordOf = 0x1000;
constexpr uint64_t kMapped = 0x10000;

struct Scene {
  explicit Scene(unsigned engineCount = 1, uint32_t inProgress = Group::kInProgress) {
    for (uint32_t vector = 0; vector < kVectors; ++vector) eventfds.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    for (uint32_t i = 0; i < kMoves; ++i) {
      guest.behind.fill(i * 2 * kPlace, kPlace, i + 1);
      sizes.push_back(1 + i * 7919 % (kPlace - 1));
    }
    host = std::make_unique<Host>(guest, 0, eventfds);
    host->group = std::make_shared<Group>(inProgress);
    for (unsigned i = 0; i < engineCount; ++i) host->engines.push_back(std::make_shared<Engine>("progress"));
    host->group->setEngines(host->engines);
  }
  ~Scene() {
    host.reset();
    for (const int fd : eventfds) ::close(fd);
  }
  void enable() const { host->queues->enable(0, Device::config(kMoves), host->group); }
  static uint64_t record(uint32_t number) { return kRecordOf + number * 32; }
  uint8_t status(uint32_t number) const { return guest.memory.status(record(number)); }
  void post(const dsa::Descriptor& descriptor) const { host->queues->portal()->write(0, descriptor.bytes); }
  void flush() const { host->queues->portal()->flush(); }
  Build moveOf(uint32_t number) const {
    const uint64_t source = kBehind + number * 2 * kPlace;
    return move(source, source + kPlace, sizes[number]).record(kBase + record(number)).interrupt(1);
  }
  void postMoves(uint32_t count) const {
    for (uint32_t i = 0; i < count; ++i) post(moveOf(i));
    flush();
  }
  bool moved(uint32_t number) const {
    return std::memcmp(guest.behind.at(number * 2 * kPlace), guest.behind.at((number * 2 + 1) * kPlace),
                       sizes[number]) == 0;
  }
  QueueRun& run() const { return *host->queues->queue(0).run(); }
  const QueueCounters& counters() const { return std::as_const(*host->queues).queue(0).counters(); }
  void awaitRequests(std::size_t count) const {
    await("requests by message", [&] { return host->client->waiting() == count; });
  }
  uint64_t raised() const {
    uint64_t count = 0;
    return ::read(eventfds[1], &count, sizeof count) == sizeof count ? count : 0;
  }
  /// Answers in an order of the seed's until `count` descriptors have completed.
  void answerUntil(uint64_t count, std::mt19937& random) const {
    await("descriptors", [&] {
      if (const std::size_t waiting = host->client->waiting(); waiting > 0) host->client->answer(0, random() % waiting);
      return counters().completed == count;
    });
  }
  static QueueDevice::Command command(bool abort) {
    return {{0}, false, abort, {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {}}};
  }
  bool takeCommandEnd() const { return (host->registers->word32(kRegisters.interruptCause).fetch_and(~2u) & 2) != 0; }

  Guest guest{GuestMemory(kMapped / kPage * 64), GuestMemory(kMoves * 2 * kPlace / kPage)};
  std::vector<int> eventfds;
  std::vector<uint32_t> sizes;
  std::unique_ptr<Host> host;
};

/// One queue, one engine, a client that answers when it likes.
void testOnTheWire() {
  std::mt19937 random(kSeed);
  for (const uint32_t inProgress : {1u, 2u, Group::kInProgress, Group::kMostInProgress}) {
    Scene scene(1, inProgress);
    scene.enable();
    scene.postMoves(kMoves);
    scene.awaitRequests(inProgress);
    CHECK_EQUAL(scene.run().inFlight(), inProgress);
    CHECK_EQUAL(scene.run().waiting(), uint64_t{kMoves - inProgress});
    CHECK_EQUAL(scene.host->registers->word32(kRegisters.workQueueStatus.at(0)).load(), kMoves - inProgress);
    scene.answerUntil(kMoves, random);
    for (uint32_t i = 0; i < kMoves; ++i) {
      CHECK_EQUAL(unsigned{scene.status(i)}, 1u);
      CHECK(scene.moved(i));
    }
    CHECK_EQUAL(scene.raised(), uint64_t{kMoves});
    CHECK_EQUAL(scene.counters().abandoned.load(), 0u);
    // Nothing was asked for twice: what was read is what was written.
    uint64_t bytes = 0;
    for (const auto& entry : scene.host->client->log()) bytes += entry.count;
    CHECK_EQUAL(bytes, 2 * std::accumulate(scene.sizes.begin(), scene.sizes.end(), uint64_t{0}));
  }
  CHECK_THROWS(std::invalid_argument, Group(0));
  CHECK_THROWS(std::invalid_argument, Group(Group::kMostInProgress + 1));
}

/// What does not wait is not overtaken by what comes behind it, but what waits is.
void testOrder() {
  Scene scene;
  scene.enable();
  constexpr uint32_t kSize = 0x100000;
  for (uint32_t round = 0; round < 50; ++round) {
    for (uint32_t i = 0; i < 3; ++i) *scene.guest.memory.at(Scene::record(i)) = std::byte{0};
    scene.post(scene.moveOf(0));
    scene.post(move(kBase + kMapped, kBase + kMapped + kSize, kSize).record(kBase + Scene::record(1)));
    scene.post(noOp().record(kBase + Scene::record(2)));
    scene.flush();
    await("the no-op", [&] { return scene.status(2) != 0; });
    CHECK_EQUAL(unsigned{scene.status(1)}, 1u);
    CHECK_EQUAL(unsigned{scene.status(0)}, 0u);
    while (scene.status(0) == 0) scene.host->client->answer();
  }
}

/// A drain waits for all before it, and for nothing behind it.
void testDrain() {
  std::mt19937 random(kSeed);
  Scene scene;
  scene.enable();
  scene.postMoves(5);
  scene.post(drain().record(kBase + Scene::record(5)));
  scene.post(noOp().record(kBase + Scene::record(6)));
  scene.flush();
  await("what is behind the drain", [&] { return scene.status(6) != 0; });
  scene.awaitRequests(5);
  await("the drain", [&] {
    const bool drained = scene.status(5) != 0;
    uint32_t ended = 0;
    for (uint32_t i = 0; i < 5; ++i) ended += scene.status(i) != 0 ? 1 : 0;
    CHECK(!drained || ended == 5);
    if (const std::size_t waiting = scene.host->client->waiting(); waiting > 0) {
      scene.host->client->answer(0, random() % waiting);
    }
    return drained;
  });
  scene.answerUntil(7, random);
}

/// Nobody waits for a client that does not answer, however many wait for it.
void testAbort() {
  for (const bool resets : {false, true}) {
    Scene scene(2);
    scene.enable();
    scene.postMoves(kMoves);
    scene.awaitRequests(Group::kInProgress);
    if (resets) {
      scene.host->queues->reset();
      scene.enable();
    } else if (!scene.host->queues->command(Scene::command(true))) {
      await("the command", [&] { return !scene.host->queues->commandPending(); });
    }
    CHECK_EQUAL(scene.host->client->waiting(), 0u);
    await("the count", [&] { return scene.counters().abandoned == kMoves; });
    for (uint32_t i = 0; i < kMoves; ++i) CHECK_EQUAL(unsigned{scene.status(i)}, 0u);
    CHECK_EQUAL(scene.raised(), 0u);
    scene.post(noOp().record(kBase + Scene::record(0)));
    scene.flush();
    await("the next one", [&] { return scene.status(0) != 0; });
  }
}

/// Neighbours of a queue whose client does not answer are served as if it was not there.
void testNeighbour() {
  Scene scene;
  scene.enable();
  scene.host->queues->enable(1, Device::config(), scene.host->group);
  scene.postMoves(kMoves);
  scene.awaitRequests(Group::kInProgress);
  for (uint32_t i = 0; i < 200; ++i) {
    *scene.guest.memory.at(Scene::record(0)) = std::byte{0};
    scene.host->queues->portal()->write(PortalRegion::kQueueStride,
                                        noOp().record(kBase + Scene::record(0)).descriptor().bytes);
    scene.flush();
    await("the neighbour", [&] { return scene.status(0) != 0; });
  }
  CHECK_EQUAL(scene.run().inFlight(), Group::kInProgress);
}

/// However many descriptors of a queue could go on when their answers are there, its neighbour's get every second turn.
void testTurns() {
  constexpr uint32_t kChunks = 8;
  constexpr uint32_t kNeighboursChunks = 32;
  Scene many;
  Scene neighbour(0);
  const uint64_t mapped = kBehind + many.guest.behind.size();
  CHECK_EQUAL(many.host->dma->map(mapped, many.guest.memory.size(), kBoth, many.guest.memory.fd(), 0), 0);
  many.enable();
  neighbour.host->group = many.host->group;
  for (const uint32_t queue : {0, 1}) neighbour.host->queues->enable(queue, Device::config(), many.host->group);

  // The engine stays in the first request of the neighbour until everything is there. The next is its copy's record.
  std::atomic<bool> entered = false;
  std::atomic<bool> open = false;
  std::atomic<bool> ended = false;
  std::vector<uint32_t> before;
  neighbour.host->client->beforeSubmit = [&] {
    if (!entered.exchange(true)) {
      await("the test", [&] { return open.load(); });
    } else if (!ended) {
      for (uint32_t i = 0; i < Group::kInProgress; ++i) {
        if (many.status(i) != 0) before.push_back(i);
      }
      ended.store(true);
    }
  };
  // A page by message, the rest is mapped.
  for (uint32_t i = 0; i < Group::kInProgress; ++i) {
    many.post(move(mapped - kPage, kBase + kMapped, kPage + kChunks * dsa::kChunk).record(kBase + Scene::record(i)));
  }
  many.flush();
  many.awaitRequests(Group::kInProgress);
  neighbour.host->queues->portal()->write(PortalRegion::kQueueStride, noOp().record(kBehind).descriptor().bytes);
  neighbour.flush();
  await("the engine", [&] { return entered.load(); });
  // The last one first: it is not the first to go on.
  while (many.host->client->answer(0, many.host->client->waiting() - 1)) continue;
  constexpr uint32_t kSize = kNeighboursChunks * dsa::kChunk;
  neighbour.post(move(kBase + kMapped, kBase + kMapped + kSize, kSize).record(kBehind + 32));
  neighbour.flush();
  open.store(true);
  await("the neighbour's copy", [&] { return ended.load(); });
  CHECK(!before.empty());
  CHECK(before.size() <= kNeighboursChunks / kChunks);
  // In their order.
  CHECK_EQUAL(before.back(), before.size() - 1);
  await("the others", [&] { return many.counters().completed == Group::kInProgress; });
  CHECK_EQUAL(many.raised(), 0u);
}

/// A descriptor that comes when another one goes on is left to the engine that has time.
void testSpentWake() {
  Scene scene(2);
  scene.enable();
  const auto other = [&] { return scene.status(1) != 0; };
  std::atomic<uint32_t> requests = 0;
  // What went on keeps its engine until the other one has ended.
  scene.host->client->beforeSubmit = [&] {
    if (requests.fetch_add(1) == 1) await("the other engine", other);
  };
  for (uint32_t round = 1; round <= 300; ++round) {
    *scene.guest.memory.at(Scene::record(1)) = std::byte{0};
    requests.store(0);
    scene.post(move(kBehind, kBase + kMapped, kPage).record(kBehind + kPage));
    scene.flush();
    scene.awaitRequests(1);
    CHECK(scene.host->client->answer());
    scene.post(noOp().record(kBase + Scene::record(1)));
    scene.flush();
    await("what came later", other);
    await("both", [&] {
      scene.host->client->answer();
      return scene.counters().completed == uint64_t{2} * round;
    });
  }
}

/// Whatever happens meanwhile, and in whatever order a client answers.
void testAnything(uint32_t seed) {
  std::mt19937 random(seed);
  const auto roll = [&](uint32_t limit) { return static_cast<uint32_t>(random() % limit); };
  Scene scene(1 + roll(3));
  scene.enable();
  uint32_t submitted = 0;
  uint32_t suspensions = 0;
  const auto settings = [&] {
    std::vector<std::optional<QueueDevice::RestoredQueue>> settings(kQueues);
    settings[0] = QueueDevice::RestoredQueue{Device::config(kMoves), scene.host->group};
    return settings;
  };
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  // What waits first: between two looks it may come into flight, and never back.
  while (submitted < kMoves || scene.run().waiting() > 0 || scene.run().inFlight() > 0) {
    CHECK(std::chrono::steady_clock::now() < limit);
    const uint32_t what = roll(1000);
    if (what < 300) {
      for (uint32_t burst = roll(24); burst > 0 && submitted < kMoves; --burst) scene.post(scene.moveOf(submitted++));
      scene.flush();
    } else if (what < 940) {
      if (const auto waiting = static_cast<uint32_t>(scene.host->client->waiting()); waiting > 0) {
        scene.host->client->answer(roll(50) == 0 ? EIO : 0, roll(waiting));
      }
    } else if (what < 945) {
      if (!scene.host->queues->command(Scene::command(true))) {
        await("an abort", [&] { return !scene.host->queues->commandPending(); });
      }
      CHECK(scene.takeCommandEnd());
      CHECK_EQUAL(scene.run().inFlight(), 0u);
    } else if (what < 950) {
      scene.host->queues->portal()->clientGone();
      await("the end of what was the client's", [&] { return scene.run().inFlight() == 0; });
    } else if (what < 953) {
      scene.host->queues->reset();
      scene.enable();
    } else if (what < 970) {
      const uint64_t place = roll(kMoves) * 2 * kPlace;
      const auto& dma = scene.host->dma;
      CHECK_EQUAL(dma->unmap(kBehind, scene.guest.behind.size()), 0);
      scene.host->client->cancel(kBehind + place, kPlace);
      CHECK_EQUAL(dma->map(kBehind, scene.guest.behind.size(), kBoth, FileDescriptor(), 0), 0);
    } else if (what < 985) {
      scene.host->suspend(roll(2) == 0);
      ++suspensions;
      if (roll(2) == 0) {
        // What a reset left to engines counts in the device where they come to it, which will not be this one for long.
        await("what a reset left", [&] {
          const QueueCounters& counters = scene.counters();
          return counters.completed + counters.abandoned + scene.run().inFlight() + scene.run().waiting() ==
                 counters.submitted;
        });
        const uint32_t inFlight = scene.run().inFlight();
        const std::vector<std::byte> state = scene.host->queues->state();
        const std::vector<uint32_t> words = scene.host->words();
        auto next = std::make_unique<Host>(scene.guest, 1 + roll(3), scene.eventfds);
        scene.host.swap(next);
        next.reset();
        for (uint32_t at = 0; at < scene.host->registers->size(); at += 4) {
          scene.host->registers->word32(at).store(words[at / 4]);
        }
        scene.host->queues->suspend();
        scene.host->queues->restore(state, settings());
        CHECK_EQUAL(scene.run().inFlight(), inFlight);
      }
      scene.host->queues->resume();
    } else {
      scene.host->replaceEngine(roll(static_cast<uint32_t>(scene.host->engines.size())));
    }
  }
  // What a reset left to engines is counted when they come to it.
  await("the counts", [&] { return scene.counters().completed + scene.counters().abandoned == kMoves; });
  uint32_t ended = 0;
  uint32_t well = 0;
  for (uint32_t i = 0; i < kMoves; ++i) {
    ended += scene.status(i) != 0 ? 1 : 0;
    well += scene.status(i) == 1 ? 1 : 0;
    CHECK(scene.status(i) != 1 || scene.moved(i));
  }
  CHECK_EQUAL(scene.counters().submitted.load(), uint64_t{kMoves});
  CHECK_EQUAL(scene.counters().completed.load(), uint64_t{ended});
  CHECK_EQUAL(scene.raised(), uint64_t{ended});
  CHECK_EQUAL(scene.host->registers->word32(kRegisters.workQueueStatus.at(0)).load() & 0xffff, 0u);
  std::printf("seed %u: %u ended, %u of them well, %u suspensions\n", seed, ended, well, suspensions);
}

}  // namespace

int main() {
  testOnTheWire();
  testOrder();
  testDrain();
  testAbort();
  testNeighbour();
  testTurns();
  testSpentWake();
  for (uint32_t seed = 1; seed <= 12; ++seed) testAnything(kSeed + seed);
}
