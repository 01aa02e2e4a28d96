// sources: memory/epoch.cc memory/epoch_process.cc
// sanitize: thread
//
// The epoch domain: nothing is freed under a guard, everything is freed after it, and a waiter sleeps.
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "memory/epoch.h"

namespace {

using mdev::EpochDomain;
using mdev::EpochGuard;

EpochDomain& domain() {
  static EpochDomain instance;
  return instance;
}

/// State letter of a thread of this process, as in /proc: S while it sleeps.
char threadState(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t name = text.rfind(") ");
  return name == std::string::npos ? '?' : text.at(name + 2);
}

void testRetireWithoutReaders() {
  bool freed = false;
  domain().retire(EpochDomain::Retirement([&] { freed = true; }));
  CHECK(freed);
  EpochDomain::Reader idle;
  freed = false;
  domain().retire(EpochDomain::Retirement([&] { freed = true; }));
  CHECK(freed);
  CHECK(domain().passed(domain().advance()));
}

void testRetireUnderGuard() {
  EpochDomain::Reader reader;
  bool freed = false;
  std::optional<EpochGuard> outer(std::in_place, reader, domain());
  domain().retire(EpochDomain::Retirement([&] { freed = true; }));
  const uint64_t ticket = domain().advance();
  {
    EpochGuard inner(reader, domain());
    EpochDomain::collect();
    CHECK(!freed);
  }
  EpochDomain::collect();
  CHECK(!freed);
  CHECK(!domain().passed(ticket));
  outer.reset();
  CHECK(domain().passed(ticket));
  CHECK(!freed);
  EpochDomain::collect();
  CHECK(freed);
}

void testYoungGuardHoldsNothingOld() {
  EpochDomain::Reader reader;
  EpochDomain::Reader other;
  std::optional<EpochGuard> old(std::in_place, other, domain());
  const uint64_t ticket = domain().advance();
  CHECK(!domain().passed(ticket));
  EpochGuard young(reader, domain());
  old.reset();
  CHECK(domain().passed(ticket));
  CHECK(!domain().passed(domain().advance()));
}

void testRetireFromFree() {
  int freed = 0;
  domain().retire(EpochDomain::Retirement([&] {
    ++freed;
    domain().retire(EpochDomain::Retirement([&] { ++freed; }));
  }));
  CHECK(freed == 2);
}

void testSynchronizeSleepsUntilTheGuardCloses() {
  EpochDomain::Reader reader;
  std::optional<EpochGuard> guard(std::in_place, reader, domain());
  std::atomic<pid_t> waiter{0};
  std::atomic<bool> closing{false};
  bool closingSeen = false;
  bool freed = false;
  domain().retire(EpochDomain::Retirement([&] { freed = true; }));
  std::thread thread([&] {
    waiter.store(static_cast<pid_t>(::syscall(SYS_gettid)));
    domain().synchronize();
    closingSeen = closing.load();
  });
  while (waiter.load() == 0) std::this_thread::yield();
  while (threadState(waiter.load()) != 'S') std::this_thread::yield();
  CHECK(!freed);
  closing.store(true);
  guard.reset();
  thread.join();
  CHECK(closingSeen);
  CHECK(freed);
}

void testDomainsDoNotWaitForEachOther() {
  EpochDomain other;
  EpochDomain::Reader reader;
  bool freed = false;
  bool otherFreed = false;
  {
    const EpochGuard guard(reader, domain());
    domain().retire(EpochDomain::Retirement([&] { freed = true; }));
    other.synchronize();
    // Nor does what was retired before keep it.
    other.retire(EpochDomain::Retirement([&] { otherFreed = true; }));
    CHECK(otherFreed && !freed);
    CHECK(other.passed(other.advance()));
    CHECK(!domain().passed(domain().advance()));
  }
  // Whoever has something to do frees for all.
  other.synchronize();
  CHECK(freed);
}

/// As an address space does that is given up while it is read.
void testRetireTheDomainItself() {
  EpochDomain::Reader reader;
  auto own = std::make_shared<EpochDomain>();
  const std::weak_ptr<EpochDomain> alive = own;
  {
    const EpochGuard guard(reader, *own);
    EpochDomain* const last = own.get();
    EpochDomain::Retirement retirement([kept = std::move(own)] {});
    last->retire(std::move(retirement));
    domain().synchronize();
    CHECK(!alive.expired());
  }
  EpochDomain::collect();
  CHECK(alive.expired());
}

struct Object {
  uint64_t value;
  uint64_t same;
};

// Readers look at what writers replace, poison and delete, in one domain after the other; registrations come and go.
// ThreadSanitizer reports an access that is not ordered before the poisoning.
void testStress() {
  constexpr int kReaders = 3;
  constexpr int kRounds = 30000;
  struct Place {
    EpochDomain epochs;
    std::atomic<Object*> object{new Object{1, 1}};
  };
  std::array<Place, 4> places;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::thread> readers;
  for (int index = 0; index < kReaders; ++index) {
    readers.emplace_back([&, index] {
      std::mt19937 random(static_cast<unsigned>(index) + 1);
      while (!stop.load(std::memory_order_relaxed)) {
        EpochDomain::Reader reader;
        for (int round = 0; round < 200; ++round) {
          const Place& place = places[random() % places.size()];
          EpochGuard guard(reader, place.epochs);
          const Object* object = place.object.load(std::memory_order_acquire);
          const uint64_t value = object->value;
          if (round % 16 == 0) std::this_thread::yield();
          CHECK(value != 0 && object->same == value);
          reads.fetch_add(1, std::memory_order_relaxed);
        }
      }
    });
  }
  while (reads.load() < 1000) std::this_thread::yield();
  std::atomic<int> freed{0};
  auto write = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int round = 1; round <= kRounds; ++round) {
      const uint64_t value = random() | 1u;
      Place& place = places[random() % places.size()];
      Object* old = place.object.exchange(new Object{value, value}, std::memory_order_acq_rel);
      auto destroy = [old, &freed] {
        old->value = old->same = 0;
        delete old;
        freed.fetch_add(1, std::memory_order_relaxed);
      };
      if (random() % 4 == 0) {
        place.epochs.synchronize();
        destroy();
      } else {
        place.epochs.retire(EpochDomain::Retirement(destroy));
      }
    }
  };
  std::thread second(write, 20u);
  write(10u);
  second.join();
  stop.store(true);
  for (auto& reader : readers) reader.join();
  EpochDomain::collect();
  CHECK(freed.load() == 2 * kRounds);
  for (Place& place : places) delete place.object.load();
}

}  // namespace

int main() {
  testRetireWithoutReaders();
  testRetireUnderGuard();
  testYoungGuardHoldsNothingOld();
  testRetireFromFree();
  testSynchronizeSleepsUntilTheGuardCloses();
  testDomainsDoNotWaitForEachOther();
  testRetireTheDomainItself();
  testStress();
}
