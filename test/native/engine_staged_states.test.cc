// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Operations that go on from a state that somebody made up. Whatever it says: it is refused, or the operation ends, and
// writes nowhere but into its destination. What lies behind its end ends there, even if nobody had refused it.
#include <algorithm>
#include <random>

#include "dsa/check.h"
#include "dsa/execution_state.h"
#include "dsa/guest_access.h"
#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kPages = 24;
constexpr uint64_t kFirst = kBase + kPage;
constexpr uint64_t kSecond = kBase + 8 * kPage;
constexpr uint64_t kThird = kBase + 16 * kPage;
/// Steps of an operation: each moves on, by a chunk or the end of what is staged.
constexpr uint32_t kMostSteps = 100;

constexpr uint8_t kOpcodes[] = {dsa::kOpCreateDelta, dsa::kOpApplyDelta, dsa::kOpDifCheck,    dsa::kOpDifInsert,
                                dsa::kOpDifStrip,    dsa::kOpDifUpdate,  dsa::kOpDixGenerate, dsa::kOpCacheFlush};

/// A descriptor that passes the checks, and where it may write.
struct Subject {
  Subject(uint8_t opcode, uint32_t number) : descriptor(Build(opcode).record(kBase)) {
    constexpr uint32_t kBlocks[] = {512, 520, 4096, 4104};
    const bool apart = opcode == dsa::kOpDixGenerate;
    const bool insert = opcode == dsa::kOpDifInsert || apart;
    const uint32_t plain = kBlocks[number % 4];
    const uint32_t blocks = 1 + number / 4 % 3;
    switch (opcode) {
      case dsa::kOpCreateDelta:
        unit = 8;
        size = 8 * (1 + number % 700);
        room = 80 + number % 5000;
        destination = kThird;
        descriptor.addresses(kFirst, kSecond).size(size).set(40, kThird).set(48, room);
        break;
      case dsa::kOpApplyDelta:
        unit = 10;
        room = 8 * (1 + number % 700);
        size = 10 * (1 + number % 500);
        destination = kSecond;
        descriptor.addresses(kFirst, kSecond).size(room).set<uint32_t>(40, size + number % 10);
        break;
      case dsa::kOpCacheFlush:
        unit = 1;
        size = 1 + number % 9000;
        descriptor.set(24, kSecond).size(size);
        break;
      default:
        unit = plain + (insert ? 0 : 8);
        size = blocks * unit;
        if (opcode != dsa::kOpDifCheck) {
          destination = kSecond;
          room = blocks * ((apart ? 0 : plain) + (opcode == dsa::kOpDifStrip ? 0 : 8));
        }
        descriptor.addresses(kFirst, opcode == dsa::kOpDifCheck ? 0 : kSecond).size(size);
        descriptor.set<uint8_t>(42, static_cast<uint8_t>(number % 4));
        // Nothing is checked of what the blocks bring.
        if (!insert) descriptor.set<uint8_t>(40, 0x60).set<uint16_t>(52, 0xffff);
        break;
    }
  }

  Build descriptor;
  /// Of what `Execution::done` counts: all, and a step, bytes.
  uint32_t size = 0;
  uint32_t unit = 0;
  uint64_t destination = kBase;
  uint32_t room = 0;
};

/// Guest memory and access to it as an engine has. Nobody changes the maps, so that no epoch guard is needed.
class Scene : public Waker {
 public:
  Scene() {
    dma_.setBusMaster(true);
    CHECK_EQUAL(dma_.map(kBase, memory_.size(), kBoth, memory_.fd(), 0), 0);
    CHECK(access_.makeBuffers());
    before_.resize(memory_.size());
  }
  void wake() override {}

  dsa::Staging& staging() { return access_.staging(); }
  void begin() { access_.begin(dma_, waker_, owner_, 0); }
  /// Lets the operation go on until it ends; bytes that it changed outside of its destination.
  uint64_t run(const Subject& subject, dsa::Execution& execution) {
    memory_.fill(0, memory_.size(), subject.size);
    std::copy_n(memory_.at(0), memory_.size(), before_.begin());
    const dsa::Operation& operation = *dsa::operationOf(execution.descriptor.opcode());
    dsa::Step step = dsa::Step::yield;
    for (uint32_t steps = 0; step != dsa::Step::finished; ++steps) {
      CHECK(steps < kMostSteps);
      dsa::Budget budget;
      step = operation.execute(execution, access_, budget);
      CHECK(step != dsa::Step::parked);
    }
    CHECK(execution.completion.status != 0);
    uint64_t changed = 0;
    for (uint64_t at = 0; at < before_.size(); ++at) {
      if (at - (subject.destination - kBase) >= subject.room && *memory_.at(at) != before_[at]) ++changed;
    }
    return changed;
  }

 private:
  GuestMemory memory_{kPages};
  DmaSpace dma_;
  MessageOwner owner_;
  const std::shared_ptr<Waker> waker_{std::shared_ptr<Waker>(), this};
  dsa::GuestAccess access_;
  std::vector<std::byte> before_;
};

class Maker {
 public:
  explicit Maker(uint32_t seed) : random_(seed) {}

  uint32_t roll(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  /// Rather at a border, or a little beyond it, than anywhere.
  uint64_t near(uint64_t most, uint64_t unit) {
    switch (roll(6)) {
      case 0:
        return 0;
      case 1:
        return most;
      case 2:
        return most + unit * roll(3);
      case 3:
        return roll(40) == 0 ? random_() : most - std::min(most, unit);
      default:
        return unit * roll(static_cast<uint32_t>(most / unit) + 1);
    }
  }
  void makeUp(const Subject& subject, dsa::Execution& execution, dsa::Staging& staging) {
    execution.begin(subject.descriptor);
    execution.done = near(subject.size, subject.unit);
    if (roll(8) == 0) execution.sending = roll(2) == 0 ? 8 : roll(5000);
    const uint32_t blocks[] = {
        0, 512, 520, 528, 4096, 4104, 4110, 4112, 10 * roll(412), subject.unit, roll(dsa::Staging::kSize + 1)};
    staging.filled = blocks[roll(static_cast<uint32_t>(std::size(blocks)))];
    staging.drained = std::min(staging.filled, roll(2) == 0 ? 0 : 10 * roll(412));
    staging.draining = roll(2) == 0;
    for (std::byte& byte : staging.data) byte = static_cast<std::byte>(roll(4) == 0 ? random_() : 0);
    switch (roll(4)) {
      case 0:
        break;
      case 1:
        execution.state = dsa::DeltaApplyState{.next = static_cast<uint32_t>(near(700, 1))};
        break;
      default:
        execution.state = dsa::DeltaCreateState{.compared = static_cast<uint32_t>(near(subject.size, 8)),
                                                .written = static_cast<uint32_t>(near(subject.room / 10 * 10, 10))};
        break;
    }
  }

 private:
  std::mt19937_64 random_;
};

void testMadeUp() {
  Scene scene;
  for (const uint8_t opcode : kOpcodes) {
    Maker maker(opcode);
    uint32_t taken = 0;
    uint32_t behind = 0;
    for (uint32_t number = 0; number < 2000; ++number) {
      const Subject subject(opcode, maker.roll(100'000));
      scene.begin();
      dsa::Execution execution;
      maker.makeUp(subject, execution, scene.staging());
      CHECK(!dsa::check(execution.descriptor, {}, Device::config().limits, false));
      if (!dsa::plausible(execution, scene.staging())) continue;
      ++taken;
      if (execution.done == subject.size) ++behind;
      CHECK_EQUAL(scene.run(subject, execution), 0u);
      if (execution.completion.status == dsa::kStatusSuccess) CHECK(execution.done <= subject.size);
    }
    // They are worth something.
    CHECK(taken > 15 && behind > 1);
  }
}

/// Even a state that should have been refused ends where the operands do.
void testBehindTheEnd() {
  Scene scene;
  for (const uint8_t opcode : kOpcodes) {
    for (uint32_t number = 0; number < 40; ++number) {
      for (const uint32_t more : {0, 1, 1000}) {
        const Subject subject(opcode, number);
        scene.begin();
        dsa::Execution execution;
        execution.begin(subject.descriptor);
        execution.done = subject.size + uint64_t{more} * subject.unit;
        if (opcode == dsa::kOpCreateDelta) {
          execution.state = dsa::DeltaCreateState{.compared = static_cast<uint32_t>(execution.done), .written = 0};
        }
        const bool draining = opcode != dsa::kOpCreateDelta && opcode != dsa::kOpCacheFlush;
        if (draining) {
          // As the end of a block: with nothing of it left to be written.
          scene.staging().draining = true;
          const bool dif = opcode != dsa::kOpApplyDelta;
          if (dif) CHECK(!dsa::plausible(execution, scene.staging()));
        }
        if (more > 0 && opcode != dsa::kOpCreateDelta) CHECK(!dsa::plausible(execution, scene.staging()));
        CHECK_EQUAL(scene.run(subject, execution), 0u);
        CHECK_EQUAL(unsigned{execution.completion.status}, unsigned{dsa::kStatusSuccess});
        CHECK_EQUAL(execution.done, subject.size + uint64_t{more} * subject.unit);
      }
    }
  }
}

}  // namespace

int main() {
  testMadeUp();
  testBehindTheEnd();
}
