// sources: memory/epoch.cc memory/epoch_process.cc
//
// A guard's entry must be visible before anything is read under it. Only the processor's reordering can break that, and
// a sanitizer's overhead hides it: so this one runs plain.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "check.h"
#include "memory/epoch.h"

int main() {
  constexpr uint64_t kGuards = 2000000;
  constexpr uint64_t kColdBytes = uint64_t{64} << 20;
  mdev::EpochDomain domain;
  // The writer alternates between two objects and spoils the one that it has withdrawn.
  struct alignas(64) Object {
    std::atomic<uint64_t> valid{1};
  };
  Object objects[2];
  alignas(64) std::atomic<Object*> published{&objects[0]};
  std::atomic<bool> stop{false};
  std::vector<std::atomic<uint8_t>> cold(kColdBytes);
  std::thread thread([&] {
    mdev::EpochDomain::Reader reader;
    uint64_t place = 1;
    for (uint64_t guards = 0; guards < kGuards; ++guards) {
      // Stores leave the processor in order, and these miss its caches: an entry that is a mere store waits behind them
      // while the loads after it go ahead.
      for (int store = 0; store < 8; ++store) {
        place = place * 6364136223846793005 + 1442695040888963407;
        cold[(place >> 20) % kColdBytes].store(1, std::memory_order_relaxed);
      }
      const mdev::EpochGuard guard(reader, domain);
      const Object* object = published.load(std::memory_order_acquire);
      for (int look = 0; look < 200; ++look) CHECK(object->valid.load(std::memory_order_relaxed) == 1);
    }
    stop.store(true);
  });
  for (uint64_t round = 0; !stop.load(std::memory_order_relaxed); ++round) {
    Object& old = objects[round % 2];
    Object& next = objects[1 - round % 2];
    published.store(&next, std::memory_order_release);
    domain.synchronize();
    for (int repeat = 0; repeat < 20; ++repeat) old.valid.store(0, std::memory_order_relaxed);
    old.valid.store(1, std::memory_order_release);
  }
  thread.join();
}
