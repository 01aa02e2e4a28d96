// sources: memory/unmapper.cc
// sanitize: thread
//
// Large mappings are unmapped by another thread, as many as may wait; the rest by whoever brings them.
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "check.h"
#include "memory/unmapper.h"

namespace {

using mdev::Unmapper;

constexpr std::size_t kSize = Unmapper::kWorthWaiting;

/// A new mapping of `size` bytes.
void* mapped(std::size_t size = kSize) {
  void* const base = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(base != MAP_FAILED);
  return base;
}

std::atomic<std::size_t> done{0};
std::atomic<bool> here{false};
std::atomic<bool> held{false};
std::atomic<bool> holding{false};
std::thread::id own;

void count(std::size_t) {
  here = std::this_thread::get_id() == own;
  ++done;
}
void hold(std::size_t) {
  holding = true;
  while (held) std::this_thread::yield();
  ++done;
}
/// The order came from this thread, which must not have carried it out, or must.
bool doneHere(std::size_t size) {
  const std::size_t before = done;
  here = false;
  Unmapper::instance().unmap(mapped(size), size, count);
  return done > before && here;
}
void drain() { CHECK(Unmapper::instance().drain(std::chrono::seconds(60))); }

bool isMapped(void* address) {
  unsigned char state = 0;
  return ::mincore(address, 4096, &state) == 0;
}

void unmapsElsewhere() {
  void* const base = mapped();
  here = true;
  Unmapper::instance().unmap(base, kSize, count);
  drain();
  CHECK(!here && done == 1 && !isMapped(base));
  CHECK(doneHere(kSize - 4096));
}

void boundsWhatWaits() {
  done = 0;
  held = true;
  holding = false;
  Unmapper::instance().unmap(mapped(), kSize, hold);
  while (!holding) std::this_thread::yield();
  for (std::size_t waiting = 1; waiting < Unmapper::kMaxWaiting; ++waiting) {
    Unmapper::instance().unmap(mapped(), kSize, count);
  }
  CHECK(done == 0);
  CHECK(doneHere(kSize));
  held = false;
  drain();
  CHECK(done == Unmapper::kMaxWaiting + 1);
}

void takesFromManyThreads() {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kOrders = 2000;
  done = 0;
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < kThreads; ++index) {
    threads.emplace_back([] {
      for (std::size_t order = 0; order < kOrders; ++order) Unmapper::instance().unmap(mapped(), kSize, count);
    });
  }
  for (std::thread& thread : threads) thread.join();
  drain();
  CHECK(done == kThreads * kOrders);
}

}  // namespace

int main() {
  own = std::this_thread::get_id();
  unmapsElsewhere();
  boundsWhatWaits();
  takesFromManyThreads();
  // The process ends while some wait.
  for (std::size_t order = 0; order < 200; ++order) Unmapper::instance().unmap(mapped(), kSize, count);
}
