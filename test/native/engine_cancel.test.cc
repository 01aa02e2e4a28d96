// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
//
// A suspended device whose requests by message are cancelled while its engine looks at what it has.
#include <optional>

#include "engine_suspend.h"
#include "memory/reader_exclusion.h"

using namespace engine_test;

namespace {

constexpr uint32_t kFilled = 0x100000;
constexpr uint32_t kTail = 64;

/// One that waited for an answer has it, and waits for its queue's turn: that it has to, however often its device was
/// suspended meanwhile. It writes over the end of what the one before it fills, chunk by chunk.
void testHeldDescriptorKeepsItsPlace() {
  Guest guest;
  std::vector<int> eventfds(kVectors, -1);
  Host host(guest, 1, eventfds);
  host.queues->enable(0, Host::config(), host.group);
  guest.behind.fill(0, kTail, 7);

  // The engine's other device: when it has done something there twice, it has looked at everything in between.
  Device other;
  other.group = host.group;
  other.mapAll();
  other.enable(1, Device::config());
  const auto awaitLook = [&] {
    for (int n = 0; n < 2; ++n) CHECK_EQUAL(unsigned{other.execute(1, noOp(), 0x1000)}, 1u);
  };

  const auto submit = [&](const dsa::Descriptor& descriptor) {
    CHECK(host.queues->portal()->write(0, descriptor.bytes) == Served::done);
    host.queues->portal()->flush();
  };
  submit(move(kBehind, kBase + kData + kFilled - kTail, kTail));
  submit(move(kBehind + kPage, kBase + kRecords, kTail));
  await("two requests", [&] { return host.client->waiting() == 2; });
  std::optional<ReaderExclusion> exclusion(std::in_place, host.dma->readers());
  await("the engine", [&] { return exclusion->complete(); });
  submit(fillWith(0x1111111111111111, kBase + kData, kFilled));
  await("its beginning", [&] { return host.queues->queue(0).run()->inFlight() == 3; });
  awaitLook();
  CHECK(host.client->answer());
  awaitLook();
  host.queues->suspend();
  host.client->afterCancel = awaitLook;
  host.queues->cancelMessages();
  host.client->afterCancel = nullptr;
  CHECK(host.queues->settled());
  exclusion.reset();
  host.queues->resume();
  await("the end", [&] {
    host.client->answer();
    return host.queues->queue(0).counters().completed == 3;
  });
  CHECK(std::memcmp(guest.memory.at(kData + kFilled - kTail), guest.behind.at(0), kTail) == 0);
  CHECK_EQUAL(guest.memory.load<uint64_t>(kData + kFilled - kTail - 8), 0x1111111111111111u);
}

}  // namespace

int main() { testHeldDescriptorKeepsItsPlace(); }
