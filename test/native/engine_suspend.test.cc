// sources: dsa/*.cc dsa/operations/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Suspended devices one step at a time: requests that nobody answers, commands that wait, what guests do meanwhile, and
// states that somebody made up.
#include "engine_suspend.h"

#include <stdexcept>

using namespace engine_test;

namespace {

constexpr uint64_t kRecord = 0x1000;

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
    host = std::make_unique<Host>(guest, 1, eventfds);
    host->take(words, state);
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

/// A command neither ends nor is forgotten, and what the guest submits waits.
void testCommandAndSubmissionsWait() {
  for (const bool moved : {false, true}) {
    Scene scene;
    scene.submit(0, move(kBehind, kBase + kData, 64).record(kBase + kRecord));
    scene.awaitRequests(1);
    CHECK(!scene.host->queues->command(
        {{0}, true, false, {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {0}}}));
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
  CHECK(!scene.host->queues->command({{0, 1}, false, true, {{}, {0}}}));
  CHECK_EQUAL(scene.raised(0), 0u);
  scene.replace();
  scene.host->queues->resume();
  await("the command", [&] { return !scene.host->queues->commandPending(); });
  CHECK_EQUAL(scene.raised(0), 1u);
  CHECK_EQUAL(scene.counters(0).abandoned.load(), 1u);
  CHECK_EQUAL(unsigned{scene.guest.memory.status(kRecord)}, 0u);
}

/// A reset ends what stands still, in the device that it began in or in another one.
void testReset() {
  for (const bool moved : {false, true}) {
    Scene scene;
    scene.submit(0, move(kBehind, kBase + kData, 64).record(kBase + kRecord));
    scene.awaitRequests(1);
    scene.submit(0, noOp().record(kBase + kRecord + 32));
    scene.host->suspend(false);
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
  scene.host->queues->command(
      {{0}, true, false, {{{kRegisters.interruptCause, RegisterEffect::Operation::setBits, 2}}, {0}}});
  scene.host->queues->portal()->write(PortalRegion::kQueueStride + 8, std::vector<std::byte>(8));
  scene.host->suspend(false);
  words = scene.host->words();
  return scene.host->queues->state();
}

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

void testRefusals() {
  Scene scene;
  std::vector<uint32_t> words;
  const std::vector<std::byte> state = busyState(scene, words);
  QueueDevice& device = *scene.host->queues;
  const auto settings = scene.host->settings();
  for (std::size_t size = 0; size < state.size(); ++size) {
    CHECK(refused(device, [&] { device.restore(std::span(state).first(size), settings); }));
  }
  std::vector<std::byte> longer = state;
  longer.emplace_back();
  CHECK(refused(device, [&] { device.restore(longer, settings); }));
  std::vector<std::byte> later = state;
  later[4] = std::byte{2};
  CHECK(refused(device, [&] { device.restore(later, settings); }));
  auto other = settings;
  other[1]->config.limits.maxTransfer /= 2;
  CHECK(refused(device, [&] { device.restore(state, other); }));
  other = settings;
  other[2].reset();
  CHECK(refused(device, [&] { device.restore(state, other); }));

  device.resume();
  for (const bool restore : {false, true}) {
    bool thrown = false;
    try {
      if (restore) device.restore(state, settings);
      if (!restore) static_cast<void>(device.state());
    } catch (const std::logic_error&) {
      thrown = true;
    }
    CHECK(thrown);
  }
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
    if (refused(device, [&] { device.restore(changed, scene.host->settings()); })) continue;
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
  testRecordByMessage();
  testCommandAndSubmissionsWait();
  testCommandsWhileSuspended();
  testReset();
  testRefusals();
  testMadeUpStates();
}
