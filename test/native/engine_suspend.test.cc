// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Suspended devices one step at a time: requests that nobody answers, commands that wait, what guests do meanwhile, and
// states that somebody made up.
#include "engine_suspend.h"

#include <stdexcept>

#include "memory/reader_exclusion.h"

// Of the address sanitizer, whose header compilers do not always bring.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();

using namespace engine_test;

namespace {

constexpr uint64_t kRecord = 0x1000;
/// Of all commands here.
const CommandEffects kEffects = {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {0}};

/// A guest, and one device after another.
struct Scene {
  Scene() {
    for (uint32_t vector = 0; vector < kVectors; ++vector) eventfds.push_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    host = std::make_unique<Host>(guest, 1, eventfds);
    host->enableAll();
  }
  ~Scene() {
    host.reset();
    for (const int fd : eventfds) ::close(fd);
  }
  void submit(uint32_t queue, const dsa::Descriptor& descriptor) const {
    host->queues->portal()->write(queue * PortalRegion::kQueueStride, descriptor.bytes);
    host->queues->portal()->flush();
  }
  void awaitRequests(std::size_t count) const {
    await("requests by message", [&] { return host->client->waiting() == count; });
  }
  /// Another device takes over; it is suspended then.
  void replace() {
    const std::vector<std::byte> state = host->queues->state();
    const std::vector<uint32_t> words = host->words();
    std::optional<CommandEffects> effects;
    if (host->queues->commandPending()) effects = kEffects;
    host = std::make_unique<Host>(guest, 1, eventfds);
    host->take(words, state, effects);
  }
  std::vector<std::byte> idleState() const {
    host->suspend(false);
    return host->queues->state();
  }
  uint64_t raised(uint32_t vector) const {
    uint64_t count = 0;
    return ::read(eventfds[vector], &count, sizeof count) == sizeof count ? count : 0;
  }
  const QueueCounters& counters(uint32_t queue) const { return std::as_const(*host->queues).queue(queue).counters(); }
  void awaitCompleted(uint32_t queue, uint64_t count) const {
    await("descriptors", [&] {
      host->client->answer();
      return counters(queue).completed == count;
    });
  }

  Guest guest;
  std::vector<int> eventfds;
  std::unique_ptr<Host> host;
};

bool refused(const QueueDevice& device, const std::function<void()>& action) {
  const std::vector<std::byte> before = device.state();
  try {
    action();
  } catch (const std::invalid_argument&) {
    CHECK(device.state() == before);
    return true;
  }
  return false;
}

/// What was to be written is written, even if the source is something else by then: the guest may have been told.
void testWriteIsMadeAgain() {
  for (const bool moved : {false, true}) {
    Scene scene;
    scene.guest.memory.fill(kData, 5000, 1);
    const std::vector<std::byte> wanted(scene.guest.memory.at(kData), scene.guest.memory.at(kData + 5000));
    scene.submit(0, move(kBase + kData, kBehind + 100, 5000).record(kBase + kRecord).interrupt(1));
    scene.awaitRequests(1);
    scene.host->suspend(false);
    CHECK_EQUAL(scene.host->client->waiting(), 0u);
    scene.guest.memory.fill(kData, 5000, 2);
    if (moved) scene.replace();
    CHECK_EQUAL(scene.host->client->waiting(), 0u);
    scene.host->queues->resume();
    scene.awaitCompleted(0, 1);
    CHECK(std::memcmp(scene.guest.behind.at(100), wanted.data(), wanted.size()) == 0);
    CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord)}, 1u);
    CHECK_EQUAL(scene.raised(1), 1u);
  }
}

/// The memory of the other device is mapped where this one's was behind a client.
void testWriteFindsMappedMemory() {
  Scene scene;
  scene.guest.memory.fill(kData, 5000, 1);
  scene.submit(0, move(kBase + kData, kBehind + 100, 5000).record(kBase + kRecord));
  scene.awaitRequests(1);
  scene.host->suspend(false);
  const std::vector<std::byte> state = scene.host->queues->state();
  const std::vector<uint32_t> words = scene.host->words();
  scene.host = std::make_unique<Host>(scene.guest, 1, scene.eventfds);
  const DmaSpace& dma = *scene.host->dma;
  CHECK_EQUAL(scene.host->dma->unmap(kBehind, scene.guest.behind.size()), 0);
  CHECK_EQUAL(scene.host->dma->map(kBehind, scene.guest.behind.size(), kBoth, scene.guest.behind.fd(), 0), 0);
  CHECK_EQUAL(dma.mappings(), 2u);
  scene.host->take(words, state);
  scene.host->queues->resume();
  scene.awaitCompleted(0, 1);
  CHECK_EQUAL(scene.host->client->answered(), 0u);
  CHECK(std::memcmp(scene.guest.behind.at(100), scene.guest.memory.at(kData), 5000) == 0);
}

/// Every other page of the memory behind the client is mapped.
void mapEveryOther(const Scene& scene, uint64_t first) {
  DmaSpace& dma = *scene.host->dma;
  CHECK_EQUAL(dma.unmap(kBehind, scene.guest.behind.size()), 0);
  for (uint64_t page = 0; page < 16; ++page) {
    const bool mapped = page % 2 == first;
    CHECK_EQUAL(dma.map(kBehind + page * kPage, kPage, kBoth, mapped ? scene.guest.behind.fd() : FileDescriptor(),
                        mapped ? page * kPage : 0),
                0);
  }
}

/// A write that is made again finds memory of both kinds, and others each time that it is suspended.
void testWriteFindsBoth() {
  constexpr uint32_t kSize = 14 * kPage;
  for (const uint64_t first : {0, 1}) {
    for (const bool patient : {false, true}) {
      Scene scene;
      scene.guest.memory.fill(kData, kSize, 1);
      const std::vector<std::byte> wanted(scene.guest.memory.at(kData), scene.guest.memory.at(kData + kSize));
      scene.submit(0, move(kBase + kData, kBehind + 100, kSize).record(kBase + kRecord).interrupt(1));
      scene.awaitRequests(1);
      scene.host->suspend(false);
      // What was to be written is what counts.
      scene.guest.memory.fill(kData, kSize, 2);
      for (uint64_t round = 0; round < 3; ++round) {
        const std::vector<std::byte> state = scene.host->queues->state();
        const std::vector<uint32_t> words = scene.host->words();
        scene.host = std::make_unique<Host>(scene.guest, 1, scene.eventfds);
        mapEveryOther(scene, (first + round) % 2);
        scene.host->take(words, state);
        scene.host->queues->resume();
        scene.awaitRequests(1);
        CHECK(scene.host->client->answer());
        scene.awaitRequests(1);
        if (round < 2) scene.host->suspend(patient);
      }
      scene.awaitCompleted(0, 1);
      CHECK(std::memcmp(scene.guest.behind.at(100), wanted.data(), wanted.size()) == 0);
      CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord)}, 1u);
      CHECK_EQUAL(scene.raised(1), 1u);
    }
  }
}

/// A record's body may be written twice, for the guest does not look at it yet. Its status may not.
void testRecordByMessage() {
  for (const bool moved : {false, true}) {
    Scene scene;
    scene.submit(0, noOp().record(kBehind).interrupt(1));
    scene.awaitRequests(1);
    scene.host->suspend(false);
    if (moved) scene.replace();
    scene.host->queues->resume();
    scene.awaitRequests(1);
    CHECK(scene.host->client->answer());
    scene.awaitRequests(1);
    const uint64_t before = scene.host->client->answered();
    scene.host->suspend(false);
    if (moved) scene.replace();
    CHECK_EQUAL(scene.raised(1), 0u);
    scene.host->queues->resume();
    await("the end", [&] { return scene.counters(0).completed == 1; });
    CHECK_EQUAL(scene.host->client->waiting(), 0u);
    CHECK_EQUAL(scene.host->client->answered(), moved ? 0 : before);
    CHECK_EQUAL(scene.raised(1), 1u);
  }
}

/// The record's body went by message, and where the device goes on its memory is mapped.
void testStatusFindsMappedMemory() {
  for (const bool patient : {false, true}) {
    Scene scene;
    scene.submit(0, noOp().record(kBehind + kRecord).interrupt(1));
    scene.awaitRequests(1);
    scene.host->suspend(patient);
    const std::vector<std::byte> state = scene.host->queues->state();
    const std::vector<uint32_t> words = scene.host->words();
    scene.host = std::make_unique<Host>(scene.guest, 1, scene.eventfds);
    CHECK_EQUAL(scene.host->dma->unmap(kBehind, scene.guest.behind.size()), 0);
    scene.host->dma->setMessageDma(nullptr);
    CHECK_EQUAL(scene.host->dma->map(kBehind, scene.guest.behind.size(), kBoth, scene.guest.behind.fd(), 0), 0);
    scene.host->take(words, state);
    CHECK_EQUAL(unsigned{scene.guest.behind.status(kRecord)}, 0u);
    scene.host->queues->resume();
    await("the end", [&] { return scene.counters(0).completed == 1; });
    CHECK_EQUAL(unsigned{scene.guest.behind.status(kRecord)}, 1u);
    CHECK_EQUAL(scene.host->queues->softwareErrors(), 0u);
    CHECK_EQUAL(scene.raised(1), 1u);
  }
}

/// A record's memory goes between its body and its status: nothing is written there any more.
void testStatusFindsNoMemory() {
  Scene scene;
  scene.submit(0, noOp().record(kBehind + kRecord).interrupt(1));
  scene.awaitRequests(1);
  scene.host->suspend(true);
  CHECK_EQUAL(scene.host->dma->unmap(kBehind, scene.guest.behind.size()), 0);
  scene.host->queues->resume();
  await("the end", [&] { return scene.counters(0).completed == 1; });
  CHECK_EQUAL(scene.host->client->waiting(), 0u);
  CHECK_EQUAL(scene.host->queues->softwareErrors(), 1u);
  CHECK_EQUAL(scene.raised(1), 0u);
}

/// What the client refuses is refused, even if another request of the queue is cancelled.
void testRefusedStatus() {
  for (const bool other : {false, true}) {
    Scene scene;
    scene.host = std::make_unique<Host>(scene.guest, 2, scene.eventfds);
    scene.host->enableAll();
    scene.submit(0, noOp().record(kBehind + kRecord).interrupt(1));
    scene.awaitRequests(1);
    CHECK(scene.host->client->answer());
    scene.awaitRequests(1);
    if (other) {
      scene.submit(0, move(kBehind, kBase + kData, 100).record(kBase + kRecord));
      scene.awaitRequests(2);
    }
    scene.host->queues->suspend();
    CHECK(scene.host->client->answer(EFAULT));
    scene.host->queues->cancelMessages();
    CHECK(scene.host->queues->settled());
    scene.host->queues->resume();
    scene.awaitCompleted(0, other ? 2 : 1);
    CHECK_EQUAL(scene.host->queues->softwareErrors(), 1u);
    CHECK_EQUAL(scene.raised(1), 0u);
    CHECK_EQUAL(unsigned{scene.guest.behind.status(kRecord)}, 0u);
  }
}

/// A command neither ends nor is forgotten, and what the guest submits waits.
void testCommandAndSubmissionsWait() {
  for (const bool moved : {false, true}) {
    Scene scene;
    scene.submit(0, move(kBehind, kBase + kData, 64).record(kBase + kRecord));
    scene.awaitRequests(1);
    CHECK(!scene.host->queues->command({{0}, true, false, kEffects}));
    scene.host->suspend(true);
    scene.submit(1, noOp().record(kBase + kRecord + 32).interrupt(2));
    if (moved) scene.replace();
    CHECK(scene.host->queues->commandPending());
    CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord)}, 0u);
    CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord + 32)}, 0u);
    CHECK_EQUAL(scene.host->queues->queue(1).run()->waiting(), 1u);
    CHECK_EQUAL(scene.raised(0) + scene.raised(2), 0u);
    scene.host->queues->resume();
    scene.awaitCompleted(0, 1);
    scene.awaitCompleted(1, 1);
    await("the command", [&] { return !scene.host->queues->commandPending(); });
    CHECK_EQUAL(scene.host->registers->word32(kRegisters.interruptCause).load(), 2u);
    CHECK_EQUAL(scene.raised(0), 1u);
    CHECK(!scene.host->queues->queue(0).accepts());
    CHECK(scene.host->queues->queue(1).accepts());
  }
}

/// A command that finds nothing to wait for waits nevertheless, and an abort abandons what stands still, later.
void testCommandsWhileSuspended() {
  Scene scene;
  scene.submit(0, move(kBehind, kBase + kData, 64).record(kBase + kRecord));
  scene.awaitRequests(1);
  scene.host->suspend(false);
  CHECK(!scene.host->queues->command({{0, 1, 0}, false, true, kEffects}));
  CHECK_EQUAL(scene.raised(0), 0u);
  scene.replace();
  scene.host->queues->resume();
  await("the command", [&] { return !scene.host->queues->commandPending(); });
  CHECK_EQUAL(scene.raised(0), 1u);
  CHECK_EQUAL(scene.counters(0).abandoned.load(), 1u);
  CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord)}, 0u);
}

/// A reset of the queue finds a record's status on its way: the guest may have seen that, so its interrupt comes, also
/// from another device.
void testAbortWhileStatusIsSent() {
  for (const bool moved : {false, true}) {
    for (const bool inBatch : {false, true}) {
      Scene scene;
      const Build told = noOp().record(kBehind).interrupt(1);
      for (uint64_t member = 0; member < 2; ++member) {
        std::memcpy(scene.guest.memory.at(kLists + member * 64), told.descriptor().bytes.data(), 64);
      }
      scene.submit(0, inBatch ? batchOf(kBase + kLists, 2).record(kBase + kRecord) : told);
      scene.awaitRequests(1);
      CHECK(scene.host->client->answer());
      scene.awaitRequests(1);
      scene.host->queues->suspend();
      CHECK(!scene.host->queues->command({{0}, true, true, kEffects}));
      CHECK(scene.host->queues->settled());
      if (moved) scene.replace();
      CHECK_EQUAL(scene.raised(1), 0u);
      scene.host->queues->resume();
      await("the command", [&] { return !scene.host->queues->commandPending(); });
      CHECK_EQUAL(scene.raised(1), 1u);
      CHECK_EQUAL(scene.raised(0), 1u);
      CHECK_EQUAL(scene.host->client->waiting(), 0u);
    }
  }
}

/// A device whose queue 0 was reset while a record's status was on its way, or in the first of two members of a batch.
/// `before`: the command comes before the device stands still, and no engine has a turn in between.
std::vector<std::byte> stateOfReset(Scene& scene, bool inBatch, bool before) {
  const Build told = noOp().record(kBehind).interrupt(1);
  for (uint64_t member = 0; member < 2; ++member) {
    std::memcpy(scene.guest.memory.at(kLists + member * 64), told.descriptor().bytes.data(), 64);
  }
  scene.submit(0, inBatch ? batchOf(kBase + kLists, 2).record(kBase + kRecord) : told);
  scene.awaitRequests(1);
  CHECK(scene.host->client->answer());
  scene.awaitRequests(1);
  // Nothing of this is seen, so nothing is due.
  scene.submit(0, move(kBehind + 0x2000, kBase + kData, 64).interrupt(2));
  scene.awaitRequests(2);
  const auto reset = [&] { CHECK(!scene.host->queues->command({{0}, true, true, kEffects})); };
  {
    ReaderExclusion exclusion(scene.host->dma->readers());
    await("the engine", [&] { return exclusion.complete(); });
    if (before) reset();
    scene.host->queues->suspend();
  }
  scene.host->queues->cancelMessages();
  if (!before) reset();
  return scene.host->queues->state();
}

/// A queue that a command resets is not configured any more where the device goes on: the interrupts of what the guest
/// may have seen to end are all that is left of it.
void testResetWhileStatusIsSent() {
  for (const bool before : {false, true}) {
    for (const bool inBatch : {false, true}) {
      for (const bool gone : {false, true}) {
        Scene scene;
        const std::vector<std::byte> state = stateOfReset(scene, inBatch, before);
        const QueueCounters& old = scene.counters(0);
        CHECK_EQUAL(old.submitted - old.completed - old.abandoned, 2u);
        auto enabled = scene.host->settings();
        const std::vector<uint32_t> words = scene.host->words();
        scene.host = std::make_unique<Host>(scene.guest, 1, scene.eventfds);
        enabled = scene.host->settings();
        enabled[0].reset();
        scene.host->take(words, state, kEffects, enabled);
        CHECK_EQUAL(scene.raised(1), 0u);
        CHECK(scene.host->queues->commandPending());
        CHECK_EQUAL(scene.counters(0).submitted.load(), 2u);
        CHECK_EQUAL(scene.counters(0).completed.load(), inBatch ? 0u : 1u);
        CHECK_EQUAL(scene.counters(0).abandoned.load(), inBatch ? 2u : 1u);
        CHECK_THROWS(std::logic_error, scene.host->queues->enable(0, Host::config(), scene.host->group));
        // The next client is not to hear of what was this one's.
        if (gone) scene.host->queues->portal()->clientGone();
        scene.host->queues->resume();
        CHECK(!scene.host->queues->commandPending());
        CHECK_EQUAL(scene.raised(1), gone ? 0u : 1u);
        CHECK_EQUAL(scene.raised(0), 1u);
        CHECK_EQUAL(scene.raised(2), 0u);
        CHECK_EQUAL(scene.host->client->waiting(), 0u);
        scene.host->queues->suspend();
        scene.host->queues->resume();
        CHECK_EQUAL(scene.raised(1), 0u);
        scene.host->queues->enable(0, Host::config(), scene.host->group);
        scene.submit(0, noOp().record(kBase + kRecord + 64));
        scene.awaitCompleted(0, inBatch ? 1 : 2);
      }
    }
  }
}

/// A reset of the device forgets what is due, and a state may not make it raise what the device has not.
void testDueInterrupts() {
  Scene scene;
  const std::vector<std::byte> state = stateOfReset(scene, false, false);
  QueueDevice& device = *scene.host->queues;
  const auto settings = scene.host->settings();
  for (std::size_t size = 0; size < state.size(); ++size) {
    CHECK(refused(device, [&] { device.restore(std::span(state).first(size), settings, kEffects); }));
  }
  // Behind header, counters and their number: one handle.
  constexpr std::size_t kHandle = 12 + 5 * 8 + 1 + 4;
  CHECK_EQUAL(unsigned(state[kHandle]), 1u);
  for (const uint8_t handle : {uint8_t{0}, uint8_t{kVectors}}) {
    std::vector<std::byte> other = state;
    other[kHandle] = std::byte{handle};
    CHECK_EQUAL(refused(device, [&] { device.restore(other, settings, kEffects); }), handle == kVectors);
  }
  device.restore(state, settings, kEffects);
  device.reset();
  device.resume();
  CHECK_EQUAL(scene.raised(0) + scene.raised(1), 0u);
}

/// A reset ends what stands still, in the device that it began in or in another one.
void testReset() {
  for (const bool moved : {false, true}) {
    Scene scene;
    scene.submit(0, move(kBehind, kBase + kData, 64).record(kBase + kRecord));
    scene.awaitRequests(1);
    scene.host->suspend(false);
    scene.submit(0, noOp().record(kBase + kRecord + 32));
    if (moved) scene.replace();
    scene.host->queues->reset();
    await("the end", [&] { return scene.counters(0).abandoned == 2; });
    scene.host->enableAll();
    scene.submit(0, noOp().record(kBase + kRecord + 64));
    scene.host->queues->resume();
    scene.awaitCompleted(0, 1);
    CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord)} + unsigned{scene.guest.memory.status(kRecord + 32)}, 0u);
  }
}

/// Work in flight of every kind, some of it standing in a batch, in a record, or behind a client.
std::vector<std::byte> busyState(Scene& scene, std::vector<uint32_t>& words) {
  for (uint32_t i = 0; i < 4; ++i) {
    const Build member = move(kBehind + i * 100, kBehind + i * 100 + 10, 90).record(kBase + kRecord + i * 32);
    std::memcpy(scene.guest.memory.at(kLists + i * 64), member.descriptor().bytes.data(), 64);
  }
  scene.submit(0, batchOf(kBase + kLists, 4).record(kBase + kRecord + 0x100));
  scene.awaitRequests(1);
  CHECK(scene.host->client->answer());
  scene.awaitRequests(1);
  scene.submit(1, move(kBase + kData, kBehind + 0x1000, 70).record(kBase + kRecord + 0x120).interrupt(3));
  scene.submit(1, drain());
  scene.awaitRequests(2);
  scene.submit(
      2,
      Build(dsa::kOpCopyWithCrc).addresses(kBase + kData, kBehind + 0x2000).size(50).record(kBase + kRecord + 0x140));
  scene.submit(3, noOp().record(kBehind + 0x3000));
  scene.awaitRequests(4);
  scene.host->queues->command({{0}, true, false, kEffects});
  scene.host->queues->portal()->write(PortalRegion::kQueueStride + 8, std::vector<std::byte>(8));
  scene.host->suspend(false);
  words = scene.host->words();
  return scene.host->queues->state();
}

void testRefusals() {
  Scene scene;
  std::vector<uint32_t> words;
  const std::vector<std::byte> state = busyState(scene, words);
  QueueDevice& device = *scene.host->queues;
  const auto settings = scene.host->settings();
  for (std::size_t size = 0; size < state.size(); ++size) {
    CHECK(refused(device, [&] { device.restore(std::span(state).first(size), settings, kEffects); }));
  }
  std::vector<std::byte> longer = state;
  longer.emplace_back();
  CHECK(refused(device, [&] { device.restore(longer, settings, kEffects); }));
  std::vector<std::byte> later = state;
  later[4] = std::byte{1};
  CHECK(refused(device, [&] { device.restore(later, settings, kEffects); }));
  auto other = settings;
  other[1]->config.limits.maxTransfer /= 2;
  CHECK(refused(device, [&] { device.restore(state, other, kEffects); }));
  other = settings;
  other[2].reset();
  CHECK(refused(device, [&] { device.restore(state, other, kEffects); }));
  // The state and the registers say both whether a command waits.
  CHECK(refused(device, [&] { device.restore(state, settings); }));
  CHECK(refused(device, [&] { device.restore(Scene().idleState(), settings, kEffects); }));
  CommandEffects outside = kEffects;
  outside.registers[0].offset = static_cast<uint32_t>(scene.host->registers->size());
  CHECK(refused(device, [&] { device.restore(state, settings, outside); }));

  device.resume();
  for (const bool restore : {false, true}) {
    bool thrown = false;
    try {
      if (restore) device.restore(state, settings, kEffects);
      if (!restore) static_cast<void>(device.state());
    } catch (const std::logic_error&) {
      thrown = true;
    }
    CHECK(thrown);
  }
}

/// A state whose queues each have so many descriptors in flight, with all of their writes by message in one outcome,
/// and that waits for these queues.
std::vector<std::byte> madeUp(uint32_t jobs, uint8_t outcome, const std::vector<uint32_t>& targets) {
  constexpr std::size_t kFront = 12;
  constexpr std::size_t kEmptyRun = 29;
  constexpr std::size_t kEnd = 4 + 1 + 16;
  const std::vector<std::byte> idle = Scene().idleState();
  const std::size_t queue = (idle.size() - kFront - kEnd) / kQueues;
  std::vector<std::byte> state(idle.begin(), idle.begin() + kFront);
  const auto put = [&state](auto value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    state.insert(state.end(), bytes, bytes + sizeof value);
  };
  for (uint32_t index = 0; index < kQueues; ++index) {
    const auto own = idle.begin() + static_cast<std::ptrdiff_t>(kFront + index * queue);
    state.insert(state.end(), own, own + static_cast<std::ptrdiff_t>(queue - kEmptyRun));
    put(uint8_t{1});
    put(uint64_t{jobs});
    put(uint64_t{jobs});
    put(uint64_t{0});
    put(jobs);
    for (uint64_t job = jobs; job-- > 0;) {
      put(job);
      // A descriptor that nobody has looked at, and no batch.
      constexpr std::size_t kUnit = 126 + 3;
      state.insert(state.end(), kUnit, std::byte{0});
      for (unsigned slot = 0; slot < 3; ++slot) put(outcome);
    }
  }
  put(uint32_t{0});
  put(uint8_t{1});
  put(static_cast<uint32_t>(targets.size()));
  for (const uint32_t target : targets) {
    put(target);
    put(uint64_t{0});
  }
  put(uint64_t{0});
  put(uint64_t{0});
  return state;
}

/// A queue that could not have been enabled so is none, whatever the state says: one without priority would never have
/// its turn.
void testImpossibleConfigurations() {
  Scene scene;
  const std::vector<std::byte> state = scene.idleState();
  QueueDevice& device = *scene.host->queues;
  const auto settings = scene.host->settings();
  // Behind header, counters and whether there is a run.
  constexpr std::size_t kConfig = 12 + 5 * 8 + 1;
  constexpr std::size_t kPriority = kConfig + 4 + 1;
  const auto restores = [&](uint32_t size, uint32_t priority) {
    std::vector<std::byte> other = state;
    std::memcpy(&other[kConfig], &size, sizeof size);
    std::memcpy(&other[kPriority], &priority, sizeof priority);
    auto configured = settings;
    configured[0]->config.size = size;
    configured[0]->config.priority = priority;
    return !refused(device, [&] { device.restore(other, configured); });
  };
  for (const uint32_t priority : {0u, 16u}) CHECK(!restores(16, priority));
  for (const uint32_t size : {0u, 0x10000u}) CHECK(!restores(size, 1));
  CHECK(restores(8, 15));
}

/// What a state makes its device allocate is in proportion to its size, and to what the device could have by itself.
void testSizes() {
  constexpr uint8_t kNone = 0;
  constexpr uint8_t kArrived = 1;
  constexpr uint8_t kFailed = 2;
  Scene scene;
  scene.host->suspend(false);
  QueueDevice& device = *scene.host->queues;
  const auto settings = scene.host->settings();
  const auto taken = [&](const std::vector<std::byte>& state) {
    const std::size_t before = __sanitizer_get_current_allocated_bytes();
    const bool good = !refused(device, [&] { device.restore(state, settings, kEffects); });
    CHECK(__sanitizer_get_current_allocated_bytes() < before + 100'000 + 50 * state.size());
    return good;
  };
  CHECK(taken(madeUp(Group::kMostEngines, kNone, {})));
  CHECK(taken(madeUp(Group::kMostEngines, kArrived, {0, 1, 3})));
  CHECK(taken(madeUp(Group::kMostEngines, kFailed, {2})));
  CHECK(!taken(madeUp(Group::kMostEngines + 1, kNone, {})));
  CHECK(!taken(madeUp(0, kNone, {0, 0})));
  CHECK(!taken(madeUp(0, kNone, {1, 0})));
  CHECK(!taken(madeUp(0, kNone, {kQueues})));

  std::vector<std::shared_ptr<Engine>> engines;
  for (uint32_t number = 0; number <= Group::kMostEngines; ++number) {
    engines.push_back(std::make_shared<Engine>("many"));
  }
  CHECK_THROWS(std::invalid_argument, std::make_shared<Group>()->setEngines(engines));
}

/// Whatever somebody writes into a state, it is refused, or the device does something that its guest could have asked
/// for: the sanitizers see the rest.
void testMadeUpStates() {
  Scene scene;
  std::vector<uint32_t> words;
  const std::vector<std::byte> state = busyState(scene, words);
  std::mt19937 random(1);
  uint32_t taken = 0;
  for (uint32_t round = 0; round < 4000; ++round) {
    std::vector<std::byte> changed = state;
    for (uint32_t left = 1 + random() % 3; left > 0; --left) {
      std::byte& byte = changed[random() % changed.size()];
      byte = random() % 2 == 0 ? byte ^ std::byte(1u << random() % 8) : std::byte(random());
    }
    QueueDevice& device = *scene.host->queues;
    if (refused(device, [&] { device.restore(changed, scene.host->settings(), kEffects); })) continue;
    ++taken;
    device.resume();
    for (uint32_t turn = 0; turn < 20; ++turn) {
      scene.host->client->answer(random() % 8 == 0 ? EIO : 0);
      ::sched_yield();
    }
    device.suspend();
    device.cancelMessages();
  }
  CHECK(taken > 100 && taken < 3900);
}

}  // namespace

int main() {
  testWriteIsMadeAgain();
  testWriteFindsMappedMemory();
  testWriteFindsBoth();
  testRecordByMessage();
  testStatusFindsMappedMemory();
  testStatusFindsNoMemory();
  testRefusedStatus();
  testCommandAndSubmissionsWait();
  testCommandsWhileSuspended();
  testAbortWhileStatusIsSent();
  testResetWhileStatusIsSent();
  testDueInterrupts();
  testReset();
  testRefusals();
  testImpossibleConfigurations();
  testSizes();
  testMadeUpStates();
}
