// sources: irq/*.cc base/*.cc
// sanitize: address,undefined
// INTx: a level that masks itself, and the eventfd that unmasks it.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "check.h"
#include "irq/intx_line.h"
#include "irq/unmask_eventfd.h"
#include "support/probe.h"

using mdev::FileDescriptor;
using mdev::IntxLine;
using mdev::IntxState;
using mdev::UnmaskEventfd;
using mdev::test::Probe;

namespace {

void firesOnceAndAgainWhenUnmasked() {
  IntxLine line;
  const Probe probe;
  line.enable(probe.share());
  CHECK_EQUAL(probe.take(), 0u);
  line.setAsserted(true);
  line.setAsserted(true);
  CHECK_EQUAL(probe.take(), 1u);
  CHECK(line.save().masked);
  line.unmask();
  CHECK_EQUAL(probe.take(), 1u);
  line.setAsserted(false);
  line.unmask();
  CHECK_EQUAL(probe.take(), 0u);
  line.setAsserted(true);
  CHECK_EQUAL(probe.take(), 1u);
}

void aLevelIsNotLatched() {
  IntxLine line;
  const Probe probe;
  line.setAsserted(true);
  line.setAsserted(false);
  line.enable(probe.share());
  CHECK_EQUAL(probe.take(), 0u);
  line.mask();
  line.setAsserted(true);
  line.setAsserted(false);
  line.unmask();
  CHECK_EQUAL(probe.take(), 0u);
  // Asserted while nobody listens, it is still asserted when somebody does.
  line.disable();
  line.setAsserted(true);
  line.enable(probe.share());
  CHECK_EQUAL(probe.take(), 1u);
}

void aNewEventfdTakesOverTheMask() {
  IntxLine line;
  const Probe first;
  const Probe second;
  line.enable(first.share());
  line.setAsserted(true);
  CHECK_EQUAL(first.take(), 1u);
  line.enable(second.share());
  CHECK_EQUAL(second.take(), 0u);
  line.unmask();
  CHECK_EQUAL(first.take(), 0u);
  CHECK_EQUAL(second.take(), 1u);
  // Taken away and given again, the line begins unmasked.
  line.disable();
  line.enable(first.share());
  CHECK_EQUAL(first.take(), 1u);
}

void disIntxKeepsItBack() {
  IntxLine line;
  const Probe probe;
  line.enable(probe.share());
  line.setDisabled(true);
  line.setAsserted(true);
  line.unmask();
  line.loopback();
  CHECK_EQUAL(probe.take(), 0u);
  CHECK(line.asserted());
  line.setDisabled(false);
  CHECK_EQUAL(probe.take(), 1u);
  // The mask stays what it was.
  line.setDisabled(true);
  line.setDisabled(false);
  CHECK_EQUAL(probe.take(), 0u);
  line.loopback();
  CHECK_EQUAL(probe.take(), 1u);
}

void aResetLetsGoOfTheLine() {
  IntxLine line;
  const Probe probe;
  line.enable(probe.share());
  line.setAsserted(true);
  CHECK_EQUAL(probe.take(), 1u);
  line.setDisabled(true);
  line.reset();
  CHECK(!line.asserted());
  line.unmask();
  CHECK_EQUAL(probe.take(), 0u);
  line.setAsserted(true);
  CHECK_EQUAL(probe.take(), 1u);
}

void goesOnElsewhere() {
  IntxLine old;
  const Probe probe;
  old.enable(probe.share());
  old.setAsserted(true);
  CHECK_EQUAL(probe.take(), 1u);
  IntxLine successor;
  successor.restore(old.save());
  successor.enable(FileDescriptor(::dup(old.eventfd())));
  CHECK_EQUAL(probe.take(), 0u);
  successor.unmask();
  CHECK_EQUAL(probe.take(), 1u);
  successor.restore(IntxState{true, false, false});
  CHECK_EQUAL(probe.take(), 1u);
}

void noticesEachSignalOnce() {
  const Probe probe;
  UnmaskEventfd unmask(probe.share());
  CHECK_EQUAL(unmask.open(), 0);
  CHECK(!unmask.take());
  const uint64_t three = 3;
  CHECK_EQUAL(::write(probe.fd(), &three, sizeof(three)), ssize_t{sizeof(three)});
  CHECK(unmask.take());
  CHECK(!unmask.take());
  CHECK_EQUAL(probe.take(), 0u);
  // A signal from before it was given counts.
  CHECK_EQUAL(::write(probe.fd(), &three, sizeof(three)), ssize_t{sizeof(three)});
  UnmaskEventfd late(probe.share());
  CHECK_EQUAL(late.open(), 0);
  CHECK(late.take());
}

/// The client shares the open file: it can make reads wait, and empty the counter before us.
void neverWaitsForTheClient() {
  const FileDescriptor shared(::eventfd(0, 0));
  UnmaskEventfd unmask(FileDescriptor(::dup(shared.get())));
  CHECK_EQUAL(unmask.open(), 0);
  ::alarm(10);
  uint64_t count = 1;
  for (int i = 0; i < 1000; ++i) {
    CHECK_EQUAL(::write(shared.get(), &count, sizeof(count)), ssize_t{sizeof(count)});
    if (i % 2 == 0) CHECK_EQUAL(::read(shared.get(), &count, sizeof(count)), ssize_t{sizeof(count)});
    CHECK_EQUAL(unmask.take(), i % 2 != 0);
  }
  ::alarm(0);
  CHECK_EQUAL(::fcntl(shared.get(), F_GETFL) & O_NONBLOCK, 0);
}

}  // namespace

int main() {
  firesOnceAndAgainWhenUnmasked();
  aLevelIsNotLatched();
  aNewEventfdTakesOverTheMask();
  disIntxKeepsItBack();
  aResetLetsGoOfTheLine();
  goesOnElsewhere();
  noticesEachSignalOnce();
  neverWaitsForTheClient();
}
