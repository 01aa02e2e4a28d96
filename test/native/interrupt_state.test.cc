// sources: core/*.cc registers/*.cc irq/*.cc base/*.cc memory/*.cc
// sanitize: address,undefined
#include "core/interrupt_state.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <random>
#include <vector>

#include "check.h"
#include "core/interrupts.h"
#include "support/probe.h"

using mdev::decodeInterruptState;
using mdev::encode;
using mdev::Interrupts;
using mdev::InterruptState;
using mdev::test::list;
using mdev::test::Probe;

namespace {

constexpr uint32_t kIntx = 0, kMsi = 1, kMsix = 2, kErr = 3, kReq = 4;

void give(Interrupts& interrupts) {
  interrupts.setCount(kIntx, 1);
  interrupts.setCount(kMsi, 8);
  interrupts.setCount(kMsix, 70);
  interrupts.setCount(kErr, 1);
  interrupts.setCount(kReq, 1);
}

std::vector<std::byte> busyState() {
  Interrupts interrupts;
  give(interrupts);
  interrupts.intx()->setAsserted(true);
  for (const uint32_t vector : {0, 33, 69}) interrupts.table(kMsix)->trigger(vector);
  interrupts.table(kMsix)->setMasked(33, true);
  interrupts.table(kMsi)->setAllMasked(true);
  interrupts.table(kErr)->trigger(0);
  return encode(interrupts.save());
}

void anotherClientFindsWhatTheDeviceRaised() {
  Interrupts interrupts;
  give(interrupts);
  const Probe line;
  CHECK_EQUAL(interrupts.set({36, kMsix, 0, 1, {}}, list(line.share())), 0);
  const auto state = decodeInterruptState(busyState());
  CHECK(state.has_value());
  CHECK_EQUAL(interrupts.adopt(*state), 0);
  CHECK_EQUAL(line.take(), 1u);
  CHECK(interrupts.intx()->asserted());
  CHECK(interrupts.table(kMsix)->pending(33));
  CHECK(interrupts.table(kMsix)->pending(69));
  CHECK(interrupts.save().tables[kMsi].allMasked);
  // What the client has set, and what was meant for another one, stays.
  CHECK_EQUAL(interrupts.save().enabled.value_or(99), kMsix);
  CHECK(!interrupts.table(kErr)->pending(0));
}

void nothingFiresWhileHeld() {
  Interrupts interrupts;
  give(interrupts);
  const Probe message;
  const Probe level;
  CHECK_EQUAL(interrupts.set({36, kMsix, 0, 1, {}}, list(message.share())), 0);
  interrupts.intx()->enable(level.share());
  interrupts.setHeld(true);
  interrupts.table(kMsix)->trigger(0);
  interrupts.table(kMsix)->setAllMasked(true);
  interrupts.table(kMsix)->setAllMasked(false);
  interrupts.intx()->setAsserted(true);
  CHECK_EQUAL(message.take(), 0u);
  CHECK_EQUAL(level.take(), 0u);
  interrupts.setHeld(false);
  CHECK_EQUAL(message.take(), 1u);
  CHECK_EQUAL(level.take(), 1u);
}

void messagesAloneWaitForBusMaster() {
  Interrupts interrupts;
  give(interrupts);
  const Probe message;
  const Probe level;
  const Probe error;
  CHECK_EQUAL(interrupts.set({36, kMsix, 0, 1, {}}, list(message.share())), 0);
  CHECK_EQUAL(interrupts.set({36, kErr, 0, 1, {}}, list(error.share())), 0);
  interrupts.intx()->enable(level.share());
  interrupts.setMessagesHeld(true);
  interrupts.table(kMsix)->trigger(0);
  interrupts.table(kErr)->trigger(0);
  interrupts.intx()->setAsserted(true);
  CHECK_EQUAL(message.take(), 0u);
  CHECK(interrupts.table(kMsix)->pending(0));
  CHECK_EQUAL(error.take(), 1u);
  CHECK_EQUAL(level.take(), 1u);
  // Neither hold ends with the other.
  interrupts.setHeld(true);
  interrupts.setMessagesHeld(false);
  CHECK_EQUAL(message.take(), 0u);
  interrupts.setMessagesHeld(true);
  interrupts.setHeld(false);
  CHECK_EQUAL(message.take(), 0u);
  interrupts.setMessagesHeld(false);
  CHECK_EQUAL(message.take(), 1u);
}

void tablesThatComeLaterAreHeldToo() {
  Interrupts interrupts;
  interrupts.setMessagesHeld(true);
  give(interrupts);
  const Probe message;
  CHECK_EQUAL(interrupts.set({36, kMsix, 0, 1, {}}, list(message.share())), 0);
  interrupts.table(kMsix)->trigger(0);
  CHECK_EQUAL(message.take(), 0u);
}

void garbageIsRefused() {
  Interrupts interrupts;
  give(interrupts);
  const std::vector<std::byte> bytes = busyState();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK(!decodeInterruptState(std::span(bytes).first(size)).has_value());
  }
  std::vector<std::byte> longer = bytes;
  longer.resize(bytes.size() + 4);
  CHECK(!decodeInterruptState(longer).has_value());
  std::mt19937 random(20261121);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> damaged = bytes;
    for (int n = 0; n < 3; ++n) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    const auto before = encode(interrupts.save());
    const auto state = decodeInterruptState(damaged);
    if (state.has_value() && interrupts.adopt(*state) == 0) continue;
    CHECK(encode(interrupts.save()) == before);
  }
  Interrupts other;
  give(other);
  other.setCount(kMsix, 64);
  CHECK_EQUAL(other.adopt(*decodeInterruptState(bytes)), EINVAL);
}

}  // namespace

int main() {
  anotherClientFindsWhatTheDeviceRaised();
  nothingFiresWhileHeld();
  messagesAloneWaitForBusMaster();
  tablesThatComeLaterAreHeldToo();
  garbageIsRefused();
}
