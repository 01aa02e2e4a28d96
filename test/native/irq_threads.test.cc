// sources: irq/*.cc base/*.cc
// sanitize: thread
// Engines raise vectors while the owner masks, unmasks, gives eventfds and takes them away.
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "irq/intx_line.h"
#include "irq/irq_table.h"
#include "support/probe.h"

using mdev::IntxLine;
using mdev::IrqTable;
using mdev::test::list;
using mdev::test::Probe;

namespace {

constexpr uint32_t kVectors = 70;
constexpr int kEngines = 3;
constexpr int kTriggers = 4000;
constexpr int kOwnerSteps = 3000;

/// Every raised vector has signalled its eventfd, or is latched, when all is quiet: the owner drains eventfds into
/// `seen`, and at the end gives every vector an eventfd and takes all masks off.
void losesNoVector() {
  std::mt19937 random(20261121);
  IrqTable table(kVectors);
  std::vector<Probe> probes(kVectors);
  std::vector<std::vector<bool>> raised(kEngines, std::vector<bool>(kVectors));
  std::vector<bool> seen(kVectors);

  std::vector<std::thread> engines;
  for (int engine = 0; engine < kEngines; ++engine) {
    engines.emplace_back([&table, &mine = raised[engine], seed = random()] {
      std::mt19937 own(seed);
      for (int i = 0; i < kTriggers; ++i) {
        const uint32_t vector = own() % kVectors;
        mine[vector] = true;
        table.trigger(vector);
      }
    });
  }
  for (int step = 0; step < kOwnerSteps; ++step) {
    const uint32_t vector = random() % kVectors;
    switch (random() % 6) {
      case 0:
        table.setAllMasked(random() % 2 == 0);
        break;
      case 1:
        table.setMasked(vector, random() % 2 == 0);
        break;
      case 2:
        CHECK_EQUAL(table.assign(vector, list(probes[vector].share())), 0);
        break;
      case 3:
        CHECK_EQUAL(table.release(vector, 1), 0);
        break;
      case 4:
        if (probes[vector].take() != 0) seen[vector] = true;
        break;
      default:
        CHECK_EQUAL(table.save().pending.size(), 3u);
    }
  }
  for (std::thread& engine : engines) engine.join();

  // One more of each when nothing runs: with every eventfd there and no mask, all that was raised is out.
  table.setAllMasked(false);
  for (uint32_t vector = 0; vector < kVectors; ++vector) {
    table.setMasked(vector, false);
    CHECK_EQUAL(table.assign(vector, list(probes[vector].share())), 0);
    const bool wanted = raised[0][vector] || raised[1][vector] || raised[2][vector];
    const bool fired = probes[vector].take() != 0;
    CHECK_EQUAL(seen[vector] || fired, wanted);
    CHECK(!table.pending(vector));
  }
}

/// The last trigger of each round arrives in that round, whatever the owner did meanwhile.
void losesNoLastTrigger() {
  constexpr int kRounds = 300;
  IrqTable table(1);
  const Probe probe;
  for (int round = 0; round < kRounds; ++round) {
    std::thread engine([&] { table.trigger(0); });
    table.setAllMasked(true);
    CHECK_EQUAL(table.release(0, 1), 0);
    CHECK_EQUAL(table.assign(0, list(probe.share())), 0);
    table.setAllMasked(false);
    engine.join();
    CHECK_EQUAL(probe.take(), 1u);
  }
}

/// What is masked does not fire any more when the call that masked it has returned.
void nothingFiresBehindTheMask() {
  IrqTable table(64);
  std::vector<Probe> probes(64);
  for (uint32_t vector = 0; vector < 64; ++vector) {
    CHECK_EQUAL(table.assign(vector, list(probes[vector].share())), 0);
  }
  std::atomic<bool> stop = false;
  std::thread engine([&] {
    for (uint32_t vector = 0; !stop; vector = (vector + 1) % 64) table.trigger(vector);
  });
  for (int round = 0; round < 200; ++round) {
    table.setAllMasked(true);
    for (const Probe& probe : probes) static_cast<void>(probe.take());
    for (const Probe& probe : probes) CHECK_EQUAL(probe.take(), 0u);
    table.setAllMasked(false);
  }
  stop = true;
  engine.join();
}

/// A line that stays asserted has fired after the last unmask.
void intxFiresWhileItIsAsserted() {
  IntxLine line;
  const Probe probe;
  line.enable(probe.share());
  for (int round = 0; round < 500; ++round) {
    std::thread device([&] { line.setAsserted(true); });
    line.mask();
    line.setDisabled(true);
    line.unmask();
    line.setDisabled(false);
    device.join();
    CHECK(probe.take() != 0);
    line.setAsserted(false);
    line.unmask();
    CHECK_EQUAL(probe.take(), 0u);
  }
}

}  // namespace

int main() {
  losesNoVector();
  losesNoLastTrigger();
  nothingFiresBehindTheMask();
  intxFiresWhileItIsAsserted();
}
