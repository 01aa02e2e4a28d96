// sources: core/*.cc registers/*.cc irq/*.cc base/*.cc memory/*.cc
// sanitize: address,undefined
// VFIO_DEVICE_SET_IRQS, with the numbers of <linux/vfio.h> written out: the test has its own copy.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/eventfd.h"
#include "check.h"
#include "core/device_core.h"
#include "support/probe.h"

using mdev::DeviceCore;
using mdev::FileDescriptor;
using mdev::ForeignFd;
using mdev::test::list;
using mdev::test::Probe;

namespace {

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
  core.setIrqCount(kMsix, 2048);
  core.setIrqCount(kErr, 1);
  core.setIrqCount(kReq, 1);
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
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 2047, 1), 0);

  // No vectors: only "all off".
  CHECK_EQUAL(set(kMask | kNone, kMsix, 1, 0), EINVAL);
  CHECK_EQUAL(set(kMask | kNone, kMsix, 0, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kBool, kMsix, 0, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kEventfd, kMsix, 0, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 1, 0), EINVAL);
  CHECK_EQUAL(set(kTrigger | kNone, kMsix, 0, 0, {}, list(probe.share())), EINVAL);
  for (uint32_t index = 0; index < 5; ++index) CHECK_EQUAL(set(kTrigger | kNone, index, 0, 0), 0);

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
  core.setIrqCount(kMsix, 2048);
  core.setIrqCount(kReq, 1);
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

  CHECK_THROWS(std::invalid_argument, core.setIrqCount(5, 0));
  CHECK_THROWS(std::invalid_argument, core.setIrqCount(kMsix, 2049));
  CHECK_THROWS(std::invalid_argument, core.setIrqCount(kReq, 2));
  CHECK_THROWS(std::invalid_argument, core.setIrqCount(0, 1));
  CHECK_THROWS(std::out_of_range, core.irqs(5));
}

/// What QEMU does when its guest enables one more vector: all off, and then all on again.
void losesNothingBetweenOffAndOn() {
  DeviceCore core;
  core.setIrqCount(kMsix, 4);
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

/// Any request of any numbers ends with 0, EINVAL or ENOTTY and leaks no descriptor.
void survivesAnySetIrqs() {
  std::mt19937 random(20261120);
  DeviceCore core;
  core.setIrqCount(kMsix, 8);
  core.setIrqCount(kReq, 1);
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
    const int error = core.setIrqs({flags, index, pick(), count, bytes(random() % 4, 1)}, std::move(fds));
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
  survivesAnySetIrqs();
}
