// sources: engine/software_error.cc engine/software_errors.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: thread
//
// Interrupt causes and software errors, raised by several threads while the guest acknowledges them through the
// register table: no cause is lost, every event raises its vector, and an error is never seen half written.
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "engine/software_errors.h"
#include "irq/irq_table.h"
#include "registers/register_region.h"
#include "support/table_builder.h"

using namespace mdev;

namespace {

constexpr uint32_t kCause = 0;
constexpr uint32_t kControl = 4;
constexpr uint32_t kError = 8;
constexpr int kEngines = 3;
constexpr uint64_t kEvents = 300'000;
constexpr uint64_t kErrors = 200'000;
constexpr std::chrono::seconds kTimeLimit(300);

struct Guest {
  Guest() {
    mdev::test::TableSpec spec;
    spec.blockSize = 64;
    spec.entries = {mdev::test::plainEntry(kCause, 4), mdev::test::plainEntry(kControl, 4)};
    spec.entries[0].w1c = spec.entries[0].read = 0xffffffff;
    spec.entries[0].write = 0;
    spec.entries[1].write = spec.entries[1].read = 0xffffffff;
    spec.entries[0].flags = spec.entries[1].flags = RegisterEntry::shared;
    for (uint32_t word = 0; word < 4; ++word) {
      spec.entries.push_back(mdev::test::plainEntry(kError + word * 8, 8));
      RegisterEntry& entry = spec.entries.back();
      entry.flags = RegisterEntry::shared;
      entry.read = ~uint64_t{0};
      entry.write = 0;
      entry.w1c = word == 0 ? 3 : 0;
    }
    table = std::make_shared<const RegisterTable>(mdev::test::encode(spec));
    memory = std::make_shared<RegisterMemory>(table->memorySize());
    region = std::make_unique<RegisterRegion>(table, memory);
    irqs = std::make_shared<IrqTable>(1);
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    std::vector<ForeignFd> fds;
    fds.emplace_back(FileDescriptor(fd));
    eventfd = FileDescriptor(::dup(fd));
    CHECK_EQUAL(irqs->assign(0, std::move(fds)), 0);
  }

  template <typename T>
  T read(uint64_t offset) {
    T value;
    CHECK(region->read(offset, std::as_writable_bytes(std::span(&value, 1))) == Served::done);
    return value;
  }
  template <typename T>
  void write(uint64_t offset, T value) {
    CHECK(region->write(offset, std::as_bytes(std::span(&value, 1))) == Served::done);
  }
  uint64_t interrupts() const {
    uint64_t count = 0;
    return ::read(eventfd.get(), &count, sizeof count) == sizeof count ? count : 0;
  }

  std::shared_ptr<const RegisterTable> table;
  std::shared_ptr<RegisterMemory> memory;
  std::unique_ptr<RegisterRegion> region;
  std::shared_ptr<IrqTable> irqs;
  FileDescriptor eventfd;
};

void testCauses() {
  Guest guest;
  std::atomic<uint64_t> raised{0};
  std::atomic<int> running{kEngines};
  std::vector<std::thread> engines;
  for (int number = 0; number < kEngines; ++number) {
    engines.emplace_back([&, number] {
      uint64_t mine = 0;
      for (uint64_t event = 0; event < kEvents / kEngines; ++event) {
        const uint32_t cause = uint32_t{1} << (number + kEngines * (event % 10));
        mine += (raiseCause(*guest.memory, kCause, cause, *guest.irqs) & cause) == 0;
      }
      raised += mine;
      --running;
    });
  }
  uint64_t cleared = 0;
  uint64_t interrupts = 0;
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  const auto acknowledge = [&] {
    interrupts += guest.interrupts();
    const auto causes = guest.read<uint32_t>(kCause);
    guest.write(kCause, causes);
    cleared += static_cast<uint64_t>(std::popcount(causes));
  };
  while (running > 0) {
    acknowledge();
    CHECK(std::chrono::steady_clock::now() < limit);
  }
  for (std::thread& engine : engines) engine.join();
  acknowledge();
  CHECK_EQUAL(cleared, raised.load());
  CHECK_EQUAL(interrupts, kEvents);
}

void testErrors() {
  Guest guest;
  guest.write<uint32_t>(kControl, 1);
  SoftwareErrors errors(guest.memory, guest.irqs, {kError, kCause, kControl});
  std::atomic<int> running{kEngines};
  std::vector<std::thread> engines;
  for (int number = 0; number < kEngines; ++number) {
    engines.emplace_back([&, number] {
      for (uint64_t event = 0; event < kErrors / kEngines; ++event) {
        SoftwareError error;
        error.code = 0x11;
        error.queue = static_cast<uint8_t>(number);
        error.information = static_cast<uint32_t>(event);
        error.faultAddress = event << 8 | static_cast<uint64_t>(number);
        errors.record(error);
      }
      --running;
    });
  }
  uint64_t seen = 0;
  uint64_t interrupts = 0;
  uint64_t overflows = 0;
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  const auto acknowledge = [&] {
    const auto head = guest.read<uint64_t>(kError);
    if ((head & 1) == 0) return;
    ++seen;
    const uint64_t queue = head >> 16 & 0xff;
    const uint64_t event = guest.read<uint64_t>(kError + 8) >> 32;
    CHECK_EQUAL(head & ~uint64_t{2}, queue << 16 | 0x11 << 8 | 0x89);
    CHECK_EQUAL(guest.read<uint64_t>(kError + 16), event << 8 | queue);
    if ((head & 2) != 0) ++overflows;
    // Both bits, as a driver does, or only the valid bit.
    guest.write<uint64_t>(kError, seen % 2 == 0 ? 3 : 1);
  };
  while (running > 0) {
    interrupts += guest.interrupts();
    acknowledge();
    CHECK(std::chrono::steady_clock::now() < limit);
  }
  for (std::thread& engine : engines) engine.join();
  acknowledge();
  interrupts += guest.interrupts();
  CHECK_EQUAL(seen, errors.recorded() - errors.lost());
  CHECK_EQUAL(interrupts, seen);
  CHECK(seen > 1);
  CHECK(overflows > 0);
  CHECK_EQUAL(guest.read<uint64_t>(kError) & 1, 0u);
}

}  // namespace

int main() {
  testCauses();
  testErrors();
}
