// sources: irq/*.cc base/*.cc
// sanitize: address,undefined
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "base/eventfd.h"
#include "base/kernel_signal.h"
#include "check.h"
#include "irq/irq_table.h"
#include "support/probe.h"

using mdev::FileDescriptor;
using mdev::IrqTable;
using mdev::test::list;
using mdev::test::Probe;

namespace {

void latchesWithoutEventfd() {
  IrqTable table(70);
  const Probe probe;
  table.trigger(69);
  table.trigger(69);
  CHECK(table.pending(69));
  CHECK(!table.pending(68));
  CHECK_EQUAL(table.assign(69, list(probe.share())), 0);
  CHECK_EQUAL(probe.take(), 1u);
  CHECK(!table.pending(69));
  table.trigger(69);
  CHECK_EQUAL(probe.take(), 1u);

  // Taken away, it latches again, and what is latched survives the release.
  CHECK_EQUAL(table.release(0, 70), 0);
  table.trigger(69);
  CHECK_EQUAL(probe.take(), 0u);
  CHECK_EQUAL(table.assign(69, list(probe.share())), 0);
  CHECK_EQUAL(probe.take(), 1u);
}

void masksLatch() {
  IrqTable table(2);
  const Probe first;
  const Probe second;
  CHECK_EQUAL(table.assign(0, list(first.share(), second.share())), 0);
  table.setMasked(0, true);
  table.setAllMasked(true);
  table.trigger(0);
  table.trigger(1);
  CHECK_EQUAL(first.take() + second.take(), 0u);
  // The loopback of SET_IRQS goes past every mask.
  table.loopback(1);
  CHECK_EQUAL(second.take(), 1u);
  table.setAllMasked(false);
  CHECK_EQUAL(first.take(), 0u);
  CHECK_EQUAL(second.take(), 1u);
  table.setMasked(0, false);
  CHECK_EQUAL(first.take(), 1u);
}

void disableKeepsAndResetForgets() {
  IrqTable table(1);
  const Probe probe;
  CHECK_EQUAL(table.assign(0, list(probe.share())), 0);
  table.setMasked(0, true);
  table.setAllMasked(true);
  table.trigger(0);
  table.reset();
  CHECK(!table.pending(0));
  CHECK_EQUAL(probe.take(), 0u);
  table.trigger(0);
  CHECK_EQUAL(probe.take(), 1u);

  // Latched before it is disabled, and while it is: both stay until there is an eventfd again.
  table.setAllMasked(true);
  table.trigger(0);
  table.disable();
  CHECK(table.pending(0));
  table.setAllMasked(false);
  table.trigger(0);
  CHECK_EQUAL(probe.take(), 0u);
  CHECK(table.pending(0));
  CHECK_EQUAL(table.assign(0, list(probe.share())), 0);
  CHECK_EQUAL(probe.take(), 1u);
  CHECK(!table.pending(0));
  table.disable();
  table.trigger(0);
  table.reset();
  CHECK_EQUAL(table.assign(0, list(probe.share())), 0);
  CHECK_EQUAL(probe.take(), 0u);
}

void refusesWhatIsNoEventfd() {
  IrqTable table(4);
  const Probe probe;
  CHECK_EQUAL(table.assign(1, list(probe.share())), 0);

  int ends[2];
  CHECK_EQUAL(::pipe(ends), 0);
  FileDescriptor readEnd(ends[0]);
  FileDescriptor writeEnd(ends[1]);
  const FileDescriptor memory(::memfd_create("[eventfd]", 0));
  CHECK(mdev::isEventfd(probe.fd()));
  CHECK(!mdev::isEventfd(writeEnd.get()));
  CHECK(!mdev::isEventfd(memory.get()));
  CHECK(!mdev::isEventfd(-1));
  CHECK(!mdev::isEventfd(1 << 20));
  const Probe other;
  CHECK_EQUAL(table.assign(0, list(other.share(), std::move(writeEnd))), EINVAL);
  // No vector changed: 0 has none, 1 has its own.
  table.trigger(0);
  table.trigger(1);
  CHECK_EQUAL(other.take(), 0u);
  CHECK_EQUAL(probe.take(), 1u);
  char byte;
  CHECK_EQUAL(::fcntl(readEnd.get(), F_SETFL, O_NONBLOCK), 0);
  CHECK_EQUAL(::read(readEnd.get(), &byte, 1), 0);  // the refused write end is closed
}

void checksRanges() {
  IrqTable table(4);
  const Probe probe;
  CHECK_EQUAL(table.assign(4, {}), 0);
  CHECK_EQUAL(table.assign(5, {}), EINVAL);
  CHECK_EQUAL(table.assign(3, list(probe.share(), probe.share())), EINVAL);
  CHECK_EQUAL(table.assign(UINT32_MAX, list(probe.share())), EINVAL);
  CHECK_EQUAL(table.release(1, UINT32_MAX), EINVAL);
  CHECK_EQUAL(table.release(1, 3), 0);
  table.trigger(4);
  table.loopback(4);
  table.setMasked(UINT32_MAX, true);
  CHECK(!table.pending(4));
  IrqTable none(0);
  CHECK_EQUAL(none.assign(0, list(probe.share())), EINVAL);
  CHECK_EQUAL(none.release(0, 0), 0);
  none.trigger(0);
  none.setAllMasked(false);
  none.disable();
  none.reset();
}

void anEmptyDescriptorRemoves() {
  IrqTable table(2);
  const Probe first;
  const Probe second;
  CHECK_EQUAL(table.assign(0, list(first.share(), second.share())), 0);
  CHECK_EQUAL(table.assign(0, list(FileDescriptor(), second.share())), 0);
  table.trigger(0);
  table.trigger(1);
  CHECK_EQUAL(first.take(), 0u);
  CHECK_EQUAL(second.take(), 1u);
  CHECK(table.pending(0));
}

/// The client shares the open file: it can take O_NONBLOCK away again, and fill the counter.
void aFullCounterNeverBlocks() {
  IrqTable table(1);
  const FileDescriptor shared(::eventfd(0, 0));
  CHECK_EQUAL(table.assign(0, list(FileDescriptor(::dup(shared.get())))), 0);
  CHECK((::fcntl(shared.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK_EQUAL(::fcntl(shared.get(), F_SETFL, 0), 0);
  const uint64_t full = UINT64_MAX - 1;
  CHECK_EQUAL(::write(shared.get(), &full, sizeof(full)), ssize_t{sizeof(full)});
  ::alarm(10);
  for (int i = 0; i < 1000; ++i) table.trigger(0);
  table.loopback(0);
  ::alarm(0);
  // It was the kernel that signalled, not a write(2) that put the flag back.
  if (mdev::KernelSignal::instance() != nullptr) CHECK_EQUAL(::fcntl(shared.get(), F_GETFL) & O_NONBLOCK, 0);
  CHECK(!table.pending(0));
  uint64_t count = 0;
  CHECK_EQUAL(::read(shared.get(), &count, sizeof(count)), ssize_t{sizeof(count)});
  CHECK(count >= full);
  table.trigger(0);
  CHECK_EQUAL(::read(shared.get(), &count, sizeof(count)), ssize_t{sizeof(count)});
  CHECK_EQUAL(count, 1u);
}

void sharesThePba() {
  IrqTable table(65);
  table.trigger(3);
  auto words = std::make_shared<std::vector<uint32_t>>(4, ~uint32_t{0});
  table.bindPending(words->data(), words);
  CHECK_EQUAL((*words)[0], 8u);
  CHECK_EQUAL((*words)[2], 0u);
  // Behind the words that hold vectors nothing is touched.
  CHECK_EQUAL((*words)[3], ~uint32_t{0});
  table.trigger(64);
  CHECK_EQUAL((*words)[2], 1u);
  // Bits behind the last vector are not vectors.
  (*words)[2] |= uint32_t{1} << 31;
  const Probe probe;
  CHECK_EQUAL(table.assign(64, list(probe.share())), 0);
  table.setAllMasked(false);
  CHECK_EQUAL(probe.take(), 1u);
  CHECK_EQUAL((*words)[2], uint32_t{1} << 31);
  table.reset();
  CHECK_EQUAL((*words)[0] | (*words)[1] | (*words)[2], 0u);
}

/// Every trigger reaches the eventfd, whatever the owner does meanwhile.
void losesNothingBetweenThreads() {
  constexpr int kTriggers = 20000;
  IrqTable table(1);
  const Probe probe;
  std::thread engine([&] {
    for (int i = 0; i < kTriggers; ++i) table.trigger(0);
  });
  for (int i = 0; i < 2000; ++i) {
    table.setAllMasked(i % 2 == 0);
    CHECK_EQUAL(table.assign(0, i % 3 == 0 ? list(FileDescriptor()) : list(probe.share())), 0);
  }
  engine.join();
  probe.take();
  table.setAllMasked(true);
  table.trigger(0);
  CHECK_EQUAL(probe.take(), 0u);
  CHECK_EQUAL(table.assign(0, list(probe.share())), 0);
  table.setAllMasked(false);
  CHECK_EQUAL(probe.take(), 1u);
}

}  // namespace

int main() {
  latchesWithoutEventfd();
  masksLatch();
  disableKeepsAndResetForgets();
  refusesWhatIsNoEventfd();
  checksRanges();
  anEmptyDescriptorRemoves();
  aFullCounterNeverBlocks();
  sharesThePba();
  losesNothingBetweenThreads();
}
