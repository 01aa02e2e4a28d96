// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// Engines that stand still in the middle of an access to guest memory, as in a page fault that takes its time: what a
// reset waits for, and who is woken for the work that they leave.
#include <signal.h>
#include <sys/mman.h>

#include <ctime>

#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kStuck = 0x10000;
constexpr uint64_t kRecord = 0x4000;

/// Holds whoever touches the engines' mapping of one page, until it is released.
class StuckPage {
 public:
  StuckPage(const Device& device, uint64_t offset) {
    EpochDomain::Reader reader;
    const EpochGuard guard(reader, device.dma->epochs());
    page_ = device.dma->translate(kBase + offset, kPage, kBoth).pointer;
    released_ = held_ = false;
    struct sigaction action {};
    action.sa_sigaction = hold;
    action.sa_flags = SA_SIGINFO;
    CHECK(::sigaction(SIGSEGV, &action, &before_) == 0);
    CHECK(::mprotect(page_, kPage, PROT_NONE) == 0);
  }
  ~StuckPage() {
    release();
    ::sigaction(SIGSEGV, &before_, nullptr);
  }
  void release() {
    CHECK(::mprotect(page_, kPage, PROT_READ | PROT_WRITE) == 0);
    released_ = true;
  }
  void awaitVictim() const {
    await("an access", [] { return held_.load(); });
  }
  static bool released() { return released_; }

 private:
  static void hold(int, siginfo_t* info, void*) {
    auto* const at = static_cast<std::byte*>(info->si_addr);
    if (at < page_ || at >= page_ + kPage) ::_exit(1);
    held_ = true;
    while (!released_) ::sched_yield();
  }

  static inline std::byte* page_ = nullptr;
  static inline std::atomic<bool> held_{false};
  static inline std::atomic<bool> released_{false};
  struct sigaction before_ {};
};

std::chrono::nanoseconds ownTime() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// On return of a reset nothing is written any more, be it data or a record; and it sleeps until then.
void testResetWaitsForAChunk() {
  for (const bool record : {false, true}) {
    Device device;
    device.mapAll();
    device.addEngines(1);
    device.enable(0, Device::config());
    StuckPage page(device, kStuck);
    device.submit(0, record ? noOp().record(kBase + kStuck) : fillWith(1, kBase + kStuck, 64));
    page.awaitVictim();
    std::atomic<bool> returned{false};
    std::thread releaser([&] {
      // It must not return; if it does, that is seen here.
      const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
      while (!returned && std::chrono::steady_clock::now() < limit)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      page.release();
    });
    const auto before = ownTime();
    device.queues->reset();
    CHECK(StuckPage::released());
    CHECK(ownTime() - before < std::chrono::milliseconds(100));
    std::vector<std::byte> quiet(device.memory.at(kStuck), device.memory.at(kStuck) + kPage);
    returned = true;
    releaser.join();
    await("the engine", [&] { return device.engines[0]->group() == device.group; });
    device.enable(0, Device::config());
    CHECK_EQUAL(device.execute(0, noOp(), kRecord), dsa::kStatusSuccess);
    CHECK(std::memcmp(quiet.data(), device.memory.at(kStuck), kPage) == 0);
  }
}

/// The same without anybody standing still: memory that is used again after a reset stays as it is.
void testQuietAfterReset() {
  Device device;
  device.mapAll();
  device.addEngines(2);
  constexpr uint32_t kSize = 0x100000;
  for (int round = 0; round < 300; ++round) {
    device.enable(0, Device::config());
    for (uint64_t i = 0; i < 4; ++i) device.submit(0, fillWith(~uint64_t{0}, kBase + 0x100000, kSize));
    await("a fill", [&] { return device.memory.status(0x100000) != 0; });
    device.queues->reset();
    std::memset(device.memory.at(0x100000), 0, kSize);
    await("the ends", [&] {
      const QueueCounters& counters = device.queues->queue(0).counters();
      return counters.submitted == counters.completed + counters.abandoned;
    });
    for (uint32_t i = 0; i < kSize; i += 8) CHECK_EQUAL(device.memory.load<uint64_t>(0x100000 + i), 0u);
  }
}

/// An engine leaves the group, or ends, while it has the only place to work on a queue: another one takes what waits.
void testLeavingEngine() {
  for (const bool closed : {false, true}) {
    Device device;
    device.group = std::make_shared<Group>(1);
    device.mapAll();
    device.addEngines(1);
    device.enable(0, Device::config());
    device.enable(1, Device::config());
    const auto other = std::make_shared<Engine>("other");
    StuckPage page(device, kStuck);
    // One turn, or the first of two.
    device.submit(0, fillWith(1, kBase + kStuck, closed ? 0x18000 : 64));
    page.awaitVictim();
    std::memset(device.memory.at(kRecord), 0, dsa::kCompletionRecordSize);
    device.submit(0, noOp().record(kBase + kRecord));
    device.group->setEngines({other});
    std::thread closer;
    if (closed) closer = std::thread([&] { device.engines[0]->close(); });
    // It has looked, and found nothing that it could take of queue 0.
    CHECK_EQUAL(device.execute(1, noOp(), 0x8000), dsa::kStatusSuccess);
    for (int i = 0; i < 1000; ++i) ::sched_yield();
    CHECK_EQUAL(device.memory.status(kRecord), 0);
    page.release();
    await("what waited", [&] { return device.memory.status(kRecord) != 0; });
    if (closer.joinable()) closer.join();
    device.queues->reset();
    device.group->setEngines({});
    other->close();
  }
}

}  // namespace

int main() {
  testResetWaitsForAChunk();
  testQuietAfterReset();
  testLeavingEngine();
}
