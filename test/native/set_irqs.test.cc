// sources: core/*.cc registers/*.cc irq/*.cc base/*.cc memory/*.cc
// sanitize: address,undefined
// VFIO_DEVICE_SET_IRQS, with the numbers of <linux/vfio.h> written out: the test has its own copy.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/eventfd.h"
#include "check.h"
#include "core/device_core.h"
#include "support/probe.h"

using mdev::DeviceCore;
using mdev::EventfdUse;
using mdev::FileDescriptor;
using mdev::ForeignFd;
using mdev::Interrupts;
using mdev::InterruptState;
using mdev::IntxLine;
using mdev::test::list;
using mdev::test::Probe;

namespace {

constexpr uint32_t kIntx = 0;
constexpr uint32_t kMsi = 1;
constexpr uint32_t kMsix = 2;
constexpr uint32_t kErr = 3;
constexpr uint32_t kReq = 4;
constexpr uint32_t kNone = 1, kBool = 2, kEventfd = 4, kMask = 8, kUnmask = 16, kTrigger = 32;

std::vector<std::byte> bytes(std::size_t size, int value = 0) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

struct Requester {
  DeviceCore& core;

  int operator()(uint32_t flags, uint32_t index, uint32_t start, uint32_t count, std::vector<std::byte> data = {},
                 std::vector<ForeignFd> fds = {}) const {
    return core.setIrqs({flags, index, start, count, data}, std::move(fds));
  }
};

int openDescriptors() {
  int open = 0;
  for (int fd = 0; fd < 256; ++fd) open += ::fcntl(fd, F_GETFD) >= 0;
  return open;
}

void validatesSetIrqs() {
  DeviceCore core;
  core.interrupts().setCount(kMsix, 2048);
  core.interrupts().setCount(kErr, 1);
  core.interrupts().setCount(kReq, 1);
  const Requester set{core};
  const Probe probe;
  const int before = openDescriptors();

  // Index, action and data kind.
  CHECK_EQUAL(set(kTrigger | kNone, 5, 0, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, UINT32_MAX, 0, 0), EINVAL);
  CHECK_EQUAL(set(kMask | kUnmask | kNone, kMsix, 0, 1), EINVAL);
  CHECK_EQUAL(set(kNone, kMsix, 0, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone | kBool, kMsix, 0, 1, bytes(1)), EINVAL);
  CHECK_EQUAL(set(kTrigger, kMsix, 0, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone | 64, kMsix, 0, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone | 0x80000000, kMsix, 0, 0), EINVAL);

  // Range.
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 2047, 2), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 2048, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 2049, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 284, UINT32_MAX), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kErr, 0, 2), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kReq, 0, 2), EINVAL);

  // No vectors: only "all off".
  CHECK_EQUAL(set(kMask | kNone, kMsix, 1, 0), EINVAL);
  CHECK_EQUAL(set(kMask | kNone, kMsix, 0, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 1, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 0, {}, list(probe.share())), EINVAL);
  for (uint32_t index = 0; index < 5; ++index) CHECK_EQUAL(set(kTrigger | kNone, index, 0, 0), 0);

  // A message index that is not enabled has nothing to fire.
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 2047, 1), EINVAL);
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 1, bytes(1)), EINVAL);

  // An index without vectors has nothing to set, mask or fire.
  for (const uint32_t flags : {kTrigger | kNone, kMask | kNone, kUnmask | kNone, kTrigger | kEventfd}) {
    CHECK_EQUAL(set(flags, 0, 0, 1), EINVAL);
    CHECK_EQUAL(set(flags, 1, 0, 1), EINVAL);
  }

  // Masks.
  for (const uint32_t action : {kMask, kUnmask}) {
    CHECK_EQUAL(set(action | kNone, kErr, 0, 1), EINVAL);
    CHECK_EQUAL(set(action | kNone, kReq, 0, 1), EINVAL);
    CHECK_EQUAL(set(action | kNone, kMsix, 0, 1), ENOTTY);
    CHECK_EQUAL(set(action | kBool, kMsix, 0, 1, bytes(1, 1)), ENOTTY);
    CHECK_EQUAL(set(action | kEventfd, kMsix, 0, 1, {}, list(probe.share())), ENOTTY);
  }

  // Payload and descriptors.
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 2, bytes(1)), EINVAL);
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 2, bytes(3)), EINVAL);
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 1, bytes(1), list(probe.share())), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 1, {}, list(probe.share())), EINVAL);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 2, {}, list(probe.share())), EINVAL);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 1, {}, list(probe.share(), probe.share())), EINVAL);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 1, {}, list(FileDescriptor(::open("/dev/null", O_RDWR)))), EINVAL);

  // Nothing of all that changed a vector or kept a descriptor.
  CHECK_EQUAL(openDescriptors(), before);
  core.irqs(kMsix)->trigger(0);
  CHECK_EQUAL(probe.take(), 0u);
}

void assignsAndFires() {
  DeviceCore core;
  core.interrupts().setCount(kMsix, 2048);
  core.interrupts().setCount(kReq, 1);
  const Requester set{core};
  const Probe first;
  const Probe second;
  const Probe replacement;
  const int before = openDescriptors();

  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 2, {}, list(first.share(), second.share())), 0);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 1, 1), 0);
  CHECK_EQUAL(first.take(), 0u);
  CHECK_EQUAL(second.take(), 1u);
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 2, {std::byte{0}, std::byte{1}}), 0);
  CHECK_EQUAL(first.take(), 0u);
  CHECK_EQUAL(second.take(), 1u);
  // A vector without an eventfd is skipped, not latched.
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 3), 0);
  CHECK_EQUAL(first.take() + second.take(), 2u);
  CHECK(!core.irqs(kMsix)->pending(2));

  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 1, 1, {}, list(replacement.share())), 0);
  core.irqs(kMsix)->trigger(1);
  CHECK_EQUAL(second.take(), 0u);
  CHECK_EQUAL(replacement.take(), 1u);

  // -1 removes one, no descriptors at all remove the range, count 0 removes everything.
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 1, {}, list(FileDescriptor())), 0);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 1, 1), 0);
  CHECK_EQUAL(openDescriptors(), before);
  core.irqs(kMsix)->trigger(0);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 1, {}, list(first.share())), 0);
  CHECK_EQUAL(first.take(), 1u);  // latched meanwhile
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 0), 0);
  CHECK_EQUAL(openDescriptors(), before);

  CHECK_EQUAL(set(kTrigger | kEventfd, kReq, 0, 1, {}, list(first.share())), 0);
  core.irqs(kReq)->trigger(0);
  CHECK_EQUAL(first.take(), 1u);
  CHECK_EQUAL(set(kTrigger | kEventfd, kReq, 0, 1), 0);
  CHECK_EQUAL(set(kTrigger | kNone, kReq, 0, 0), 0);

  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 7, 1, {}, list(first.share())), 0);
  core.irqs(kMsix)->trigger(8);
  core.clientGone();
  CHECK_EQUAL(openDescriptors(), before);
  CHECK(core.irqs(kMsix)->pending(8));

  CHECK_THROWS(std::invalid_argument, core.interrupts().setCount(5, 0));
  CHECK_THROWS(std::invalid_argument, core.interrupts().setCount(kMsix, 2049));
  CHECK_THROWS(std::invalid_argument, core.interrupts().setCount(kReq, 2));
  CHECK_THROWS(std::invalid_argument, core.interrupts().setCount(0, 2));
  CHECK_THROWS(std::invalid_argument, core.interrupts().setCount(1, 33));
  CHECK_THROWS(std::out_of_range, core.irqs(5));
}

/// What QEMU does when its guest enables one more vector: all off, and then all on again.
void losesNothingBetweenOffAndOn() {
  DeviceCore core;
  core.interrupts().setCount(kMsix, 4);
  const Requester set{core};
  const Probe first;
  const Probe second;
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 2, {}, list(first.share(), second.share())), 0);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 0), 0);
  core.irqs(kMsix)->trigger(1);
  core.irqs(kMsix)->trigger(1);
  CHECK_EQUAL(first.take() + second.take(), 0u);
  CHECK(core.irqs(kMsix)->pending(1));
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 0), 0);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 2, {}, list(first.share(), second.share())), 0);
  CHECK_EQUAL(first.take(), 0u);
  CHECK_EQUAL(second.take(), 1u);
  CHECK(!core.irqs(kMsix)->pending(1));

  // A reset in between is another matter: the device has forgotten why.
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 0), 0);
  core.irqs(kMsix)->trigger(1);
  core.irqs(kMsix)->reset();
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 2, {}, list(first.share(), second.share())), 0);
  CHECK_EQUAL(first.take() + second.take(), 0u);
}

/// The loop that waits for unmask eventfds.
struct Loop {
  int fd = -1;
  std::function<void()> callback;
  int watched = 0;

  Interrupts::Watch watch() {
    return [this](int readable, std::function<void()> signalled) {
      fd = readable;
      callback = std::move(signalled);
      ++watched;
      return std::shared_ptr<void>(this, [](Loop* loop) { --loop->watched; });
    };
  }
  bool due() const {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }
};

void intxUnmasksByEventfd() {
  DeviceCore core;
  core.interrupts().setCount(kIntx, 1);
  const Requester set{core};
  const Probe trigger;
  const Probe unmask;
  const auto signal = [&] { mdev::signalEventfd(unmask.fd()); };
  CHECK_EQUAL(set(kTrigger | kEventfd, kIntx, 0, 1, {}, list(trigger.share())), 0);
  // Nobody waits for eventfds here.
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(unmask.share())), ENOTTY);
  Loop loop;
  core.interrupts().setWatch(loop.watch());
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(unmask.share())), 0);
  CHECK_EQUAL(loop.watched, 1);
  IntxLine& line = *core.interrupts().intx();
  line.setAsserted(true);
  CHECK_EQUAL(trigger.take(), 1u);
  CHECK(!loop.due());
  loop.callback();
  CHECK_EQUAL(trigger.take(), 0u);
  for (int i = 0; i < 3; ++i) signal();
  CHECK(loop.due());
  loop.callback();
  CHECK(!loop.due());
  CHECK_EQUAL(trigger.take(), 1u);

  // What is no eventfd changes nothing; another eventfd replaces it; -1 and disabling remove it.
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(FileDescriptor(::open("/dev/null", O_RDWR)))), EINVAL);
  signal();
  CHECK(loop.due());
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(Probe().share())), 0);
  CHECK_EQUAL(loop.watched, 1);
  CHECK(!loop.due());
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1), 0);
  CHECK_EQUAL(loop.watched, 0);
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(unmask.share())), 0);
  CHECK_EQUAL(set(kTrigger | kNone, kIntx, 0, 0), 0);
  CHECK_EQUAL(loop.watched, 0);
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(unmask.share())), EINVAL);
  // A loop that cannot watch.
  core.interrupts().setWatch([](int, std::function<void()>) { return nullptr; });
  CHECK_EQUAL(set(kTrigger | kEventfd, kIntx, 0, 1, {}, list(trigger.share())), 0);
  CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(unmask.share())), ENOMEM);
  core.close();
  CHECK_EQUAL(set(kUnmask | kNone, kIntx, 0, 1), EINVAL);
}

void oneKindAtATime() {
  DeviceCore core;
  core.interrupts().setCount(kIntx, 1);
  core.interrupts().setCount(kMsi, 8);
  core.interrupts().setCount(kMsix, 4);
  const Requester set{core};
  const Probe probe;
  const auto enable = [&](uint32_t index) { return set(kTrigger | kEventfd, index, 0, 1, {}, list(probe.share())); };
  for (const uint32_t index : {kIntx, kMsi, kMsix}) {
    CHECK_EQUAL(enable(index), 0);
    for (const uint32_t other : {kIntx, kMsi, kMsix}) {
      if (other == index) continue;
      CHECK_EQUAL(enable(other), EINVAL);
      CHECK_EQUAL(set(kTrigger | kEventfd, other, 0, 1), EINVAL);
      CHECK_EQUAL(set(kTrigger | kNone, other, 0, 1), EINVAL);
      // Switching off what is off is no mistake, and touches nothing else.
      CHECK_EQUAL(set(kTrigger | kNone, other, 0, 0), 0);
    }
    CHECK_EQUAL(set(kTrigger | kNone, index, 0, 1), 0);
    CHECK_EQUAL(probe.take(), 1u);
    CHECK_EQUAL(set(kTrigger | kNone, index, 0, 0), 0);
    CHECK_EQUAL(set(kTrigger | kNone, index, 0, 1), EINVAL);
  }
  // MSI has as many vectors as the request that enabled it; MSI-X grows.
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsi, 0, 2, {}, list(probe.share(), FileDescriptor())), 0);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsi, 1, 1, {}, list(probe.share())), 0);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsi, 2, 1, {}, list(probe.share())), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsi, 0, 0), 0);
  // Enabled without any eventfd, as QEMU does.
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 1), 0);
  CHECK_EQUAL(enable(kIntx), EINVAL);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 3, 1, {}, list(probe.share())), 0);
  core.clientGone();
  CHECK_EQUAL(enable(kIntx), 0);
  // INTx without its eventfd is not enabled.
  CHECK_EQUAL(set(kTrigger | kEventfd, kIntx, 0, 1), 0);
  CHECK_EQUAL(enable(kMsi), 0);
  // A first request that fails enables nothing.
  core.clientGone();
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsi, 0, 1, {}, list(FileDescriptor(::open("/dev/null", O_RDWR)))), EINVAL);
  CHECK_EQUAL(enable(kMsix), 0);
}

void whatWasWantedOfAClientGoesWithIt() {
  DeviceCore core;
  core.interrupts().setCount(kErr, 1);
  core.interrupts().setCount(kReq, 1);
  core.interrupts().setCount(kMsix, 1);
  const Requester set{core};
  const Probe probe;
  for (const uint32_t index : {kErr, kReq, kMsix}) core.irqs(index)->trigger(0);
  core.clientGone();
  for (const uint32_t index : {kErr, kReq, kMsix}) {
    CHECK_EQUAL(set(kTrigger | kEventfd, index, 0, 1, {}, list(probe.share())), 0);
    CHECK_EQUAL(probe.take(), index == kMsix ? 1u : 0u);
  }
}

/// What a successor process does: it makes the same device, takes over the state, and gets the descriptors.
void goesOnInASuccessor() {
  Loop loop;
  const auto make = [&](DeviceCore& core) {
    core.interrupts().setCount(kIntx, 1);
    core.interrupts().setCount(kMsi, 4);
    core.interrupts().setCount(kMsix, 70);
    core.interrupts().setCount(kReq, 1);
    core.interrupts().setWatch(loop.watch());
  };
  const Probe probe;
  const Probe unmask;
  const Probe other;
  for (const uint32_t enabled : {kIntx, kMsix}) {
    DeviceCore core;
    make(core);
    const Requester set{core};
    core.irqs(kMsi)->trigger(3);
    core.irqs(kMsix)->trigger(69);
    core.irqs(kMsix)->setMasked(2, true);
    CHECK_EQUAL(set(kTrigger | kEventfd, kReq, 0, 1, {}, list(other.share())), 0);
    if (enabled == kIntx) {
      CHECK_EQUAL(set(kTrigger | kEventfd, kIntx, 0, 1, {}, list(probe.share())), 0);
      CHECK_EQUAL(set(kUnmask | kEventfd, kIntx, 0, 1, {}, list(unmask.share())), 0);
      core.interrupts().intx()->setAsserted(true);
      CHECK_EQUAL(probe.take(), 1u);
    } else {
      CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 2, 1, {}, list(probe.share())), 0);
      core.irqs(kMsix)->trigger(2);
    }

    const InterruptState state = core.interrupts().save();
    CHECK(state.enabled == enabled);
    DeviceCore successor;
    CHECK_EQUAL(successor.interrupts().restore(state), EINVAL);
    make(successor);
    CHECK_EQUAL(successor.interrupts().restore(state), 0);
    int eventfds = 0;
    core.interrupts().forEachEventfd([&](uint32_t index, uint32_t vector, EventfdUse use, int fd) {
      ++eventfds;
      FileDescriptor sent(::dup(fd));
      CHECK_EQUAL(successor.interrupts().restoreEventfd(index, vector, use, std::move(sent)), 0);
    });
    CHECK_EQUAL(eventfds, enabled == kIntx ? 3 : 2);
    core.close();

    CHECK_EQUAL(probe.take() + other.take(), 0u);
    CHECK(successor.irqs(kMsi)->pending(3));
    CHECK(successor.irqs(kMsix)->pending(69));
    const Requester again{successor};
    if (enabled == kIntx) {
      mdev::signalEventfd(unmask.fd());
      CHECK(loop.due());
      loop.callback();
    } else {
      CHECK(successor.irqs(kMsix)->pending(2));
      successor.irqs(kMsix)->setMasked(2, false);
      CHECK_EQUAL(again(kTrigger | kEventfd, kIntx, 0, 1, {}, list(probe.share())), EINVAL);
    }
    CHECK_EQUAL(probe.take(), 1u);
    CHECK_EQUAL(again(kTrigger | kNone, kReq, 0, 1), 0);
    CHECK_EQUAL(other.take(), 1u);
    // Nothing but an eventfd, and only where there is a vector.
    CHECK_EQUAL(successor.interrupts().restoreEventfd(kMsi, 4, EventfdUse::trigger, probe.share()), EINVAL);
    CHECK_EQUAL(successor.interrupts().restoreEventfd(kMsi, 0, EventfdUse::unmask, probe.share()), EINVAL);
    CHECK_EQUAL(successor.interrupts().restoreEventfd(kMsi, 0, EventfdUse::trigger, FileDescriptor()), EINVAL);
    successor.close();
  }
}

/// Any request of any numbers ends with 0, EINVAL or ENOTTY and leaks no descriptor.
void survivesAnySetIrqs() {
  std::mt19937 random(20261120);
  DeviceCore core;
  core.interrupts().setCount(kIntx, 1);
  core.interrupts().setCount(kMsi, 4);
  core.interrupts().setCount(kMsix, 8);
  core.interrupts().setCount(kReq, 1);
  const Probe probe;
  const int before = openDescriptors();
  const std::array<uint32_t, 8> edges = {0, 1, 2, 7, 8, 9, UINT32_MAX, UINT32_MAX - 1};
  int done = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto pick = [&] { return random() % 3 == 0 ? static_cast<uint32_t>(random()) : edges[random() % 8]; };
    const uint32_t flags =
        random() % 4 == 0 ? random() : (1u << random() % 3) | (random() % 2 == 0 ? kTrigger : 8u << random() % 3);
    std::vector<ForeignFd> fds;
    for (auto left = random() % 3; left > 0; --left) fds.push_back(random() % 4 ? probe.share() : FileDescriptor());
    const auto count = random() % 2 == 0 ? static_cast<uint32_t>(fds.size()) : pick();
    const auto index = random() % 2 == 0 ? kMsix : static_cast<uint32_t>(random() % 6);
    const int error =
        core.setIrqs({flags, index, random() % 2 == 0 ? 0 : pick(), count, bytes(random() % 4, 1)}, std::move(fds));
    CHECK(error == 0 || error == EINVAL || error == ENOTTY);
    done += error == 0;
  }
  CHECK(done > 200);
  core.close();
  CHECK_EQUAL(openDescriptors(), before);
}

}  // namespace

int main() {
  // What signalling opens once for the process must exist before descriptors are counted.
  mdev::signalForeignEventfd(Probe().share().get());

  validatesSetIrqs();
  assignsAndFires();
  losesNothingBetweenOffAndOn();
  intxUnmasksByEventfd();
  oneKindAtATime();
  whatWasWantedOfAClientGoesWithIt();
  goesOnInASuccessor();
  survivesAnySetIrqs();
}
