// sources: memory/epoch.cc memory/epoch_process.cc memory/reader_exclusion.cc
// sanitize: thread
//
// An owner that has a domain to itself: readers that come are turned away and come back, those that are in are waited
// for without sleeping, and nobody is forgotten.
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "check.h"
#include "memory/epoch.h"
#include "memory/reader_exclusion.h"

namespace {

using namespace mdev;

constexpr std::chrono::seconds kTimeLimit(60);

template <typename Condition>
void await(const char* what, Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + kTimeLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit)
      mdev::test::fail(__FILE__, __LINE__, std::string("waited for ") + what);
    std::this_thread::yield();
  }
}

void testWithoutReaders() {
  const auto domain = std::make_shared<EpochDomain>();
  EpochDomain::Reader reader;
  CHECK(domain->admits(reader) && !domain->turnsAway());
  {
    ReaderExclusion exclusion(domain);
    CHECK(domain->turnsAway() && !domain->admits(reader) && !domain->admitsSoon(reader));
    CHECK(exclusion.complete());
    ReaderExclusion second(domain);
    CHECK(second.completeOrTell([] { CHECK(false); }));
  }
  CHECK(domain->admits(reader) && !domain->turnsAway());
}

void testTheGuardsOfOthersDoNotMatter() {
  const auto domain = std::make_shared<EpochDomain>();
  EpochDomain other;
  EpochDomain::Reader reader;
  const EpochGuard guard(reader, other);
  ReaderExclusion exclusion(domain);
  CHECK(!other.turnsAway());
  CHECK(exclusion.complete());
}

void testAGuardIsWaitedFor() {
  const auto domain = std::make_shared<EpochDomain>();
  EpochDomain::Reader reader;
  std::optional<EpochGuard> guard(std::in_place, reader, *domain);
  int told = 0;
  {
    ReaderExclusion exclusion(domain);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(!exclusion.complete());
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::microseconds(ReaderExclusion::kPatience));
    CHECK(!exclusion.completeOrTell([&] { ++told; }));
    CHECK_EQUAL(told, 0);
    {
      // A young one does not count, and is no news.
      EpochDomain::Reader late;
      const EpochGuard young(late, *domain);
      CHECK(domain->turnsAway());
    }
    CHECK(!exclusion.complete());
    CHECK_EQUAL(told, 0);
    guard.reset();
    CHECK_EQUAL(told, 1);
    CHECK(exclusion.complete());
    // Complete: whoever is in now has been turned away, and is not waited for.
    const EpochGuard away(reader, *domain);
    domain->synchronize();
    CHECK_EQUAL(told, 1);
  }
  guard.emplace(reader, *domain);
  {
    // One that ends before it is complete tells nobody.
    ReaderExclusion exclusion(domain);
    CHECK(!exclusion.completeOrTell([&] { ++told; }));
  }
  CHECK(domain->admits(reader));
  guard.reset();
  CHECK_EQUAL(told, 1);
}

void testWhoWasTurnedAwayIsWoken() {
  const auto domain = std::make_shared<EpochDomain>();
  std::atomic<int> woken{0};
  EpochDomain::Reader reader([&] { ++woken; });
  std::optional<ReaderExclusion> exclusion(std::in_place, domain);
  exclusion.reset();
  // Nobody had come.
  CHECK_EQUAL(woken.load(), 0);
  exclusion.emplace(domain);
  std::optional<ReaderExclusion> second(std::in_place, domain);
  CHECK(!domain->admits(reader));
  exclusion.reset();
  CHECK_EQUAL(woken.load(), 0);
  second.reset();
  CHECK_EQUAL(woken.load(), 1);
  exclusion.emplace(domain);
  exclusion.reset();
  CHECK_EQUAL(woken.load(), 1);
}

/// The end of an exclusion is no news for those who read elsewhere: an engine of another instance sleeps on.
void testOthersAreNotWoken() {
  const auto domain = std::make_shared<EpochDomain>();
  const auto second = std::make_shared<EpochDomain>();
  int woken = 0;
  int others = 0;
  EpochDomain::Reader reader([&] { ++woken; });
  EpochDomain::Reader elsewhere([&] { ++others; });
  std::optional<ReaderExclusion> exclusion(std::in_place, domain);
  std::optional<ReaderExclusion> other(std::in_place, second);
  // One that reads both is turned away by both, and hears of both.
  CHECK(!domain->admits(reader) && !second->admits(reader) && !second->admits(elsewhere));
  exclusion.reset();
  CHECK_EQUAL(woken, 1);
  CHECK_EQUAL(others, 0);
  CHECK(domain->admits(reader) && !second->admits(reader));
  other.reset();
  CHECK_EQUAL(woken, 2);
  CHECK_EQUAL(others, 1);
  {
    // Who was let in is not called again by who did not turn it away since.
    ReaderExclusion again(domain);
    CHECK(!domain->admits(elsewhere));
  }
  CHECK_EQUAL(woken, 2);
  CHECK_EQUAL(others, 2);
}

/// Marks are shared by more domains than there are: nobody sleeps for ever.
void testSharedMarksLoseNobody() {
  std::vector<std::shared_ptr<EpochDomain>> domains;
  for (int n = 0; n < 65; ++n) domains.push_back(std::make_shared<EpochDomain>());
  int woken = 0;
  EpochDomain::Reader reader([&] { ++woken; });
  std::optional<ReaderExclusion> first(std::in_place, domains.front());
  std::optional<ReaderExclusion> last(std::in_place, domains.back());
  CHECK(!domains.front()->admits(reader) && !domains.back()->admits(reader));
  first.reset();
  CHECK_EQUAL(woken, 1);
  CHECK(domains.front()->admits(reader) && !domains.back()->admits(reader));
  last.reset();
  CHECK_EQUAL(woken, 2);
}

/// Readers and an owner share a word that is not atomic: the sanitizer tells when they meet. A reader that was turned
/// away sleeps until it is woken; a wake-up that is lost ends the test.
void testNobodyMeets() {
  constexpr int kReaders = 3;
  constexpr int kRounds = 5000;
  constexpr uint64_t kReads = 5000;
  const auto domain = std::make_shared<EpochDomain>();
  uint64_t shared = 0;
  std::atomic<bool> go{true};
  std::array<std::atomic<uint64_t>, kReaders> reads{};
  std::vector<std::thread> readers;
  for (int index = 0; index < kReaders; ++index) {
    readers.emplace_back([&, index] {
      std::atomic<bool> woken{false};
      EpochDomain::Reader reader([&] { woken.store(true); });
      uint64_t last = 0;
      while (go.load()) {
        {
          const EpochGuard guard(reader, *domain);
          if (!domain->turnsAway()) {
            CHECK(shared >= last);
            last = shared;
            ++reads[static_cast<std::size_t>(index)];
            continue;
          }
        }
        if (last % 2 == 0 ? domain->admitsSoon(reader) : domain->admits(reader)) continue;
        await("being woken", [&] { return woken.exchange(false) || !go.load(); });
      }
    });
  }
  uint64_t slow = 0;
  for (int round = 0; round < kRounds || reads[0] < kReads || reads[1] < kReads || reads[2] < kReads; ++round) {
    std::atomic<bool> told{true};
    ReaderExclusion exclusion(domain);
    if (!exclusion.completeOrTell([&] { told.store(true); })) {
      ++slow;
      told.store(true);
      await("being told", [&] { return told.exchange(false) && exclusion.complete(); });
    }
    ++shared;
    domain->synchronize();
    ++shared;
    if (round % 64 == 0) std::this_thread::yield();
  }
  go.store(false);
  for (auto& reader : readers) reader.join();
  std::printf("%llu of %llu exclusions were told\n", static_cast<unsigned long long>(slow),
              static_cast<unsigned long long>(shared / 2));
}

void testWhatIsRetiredIsFreedByEachItsOwn() {
  EpochDomain one;
  EpochDomain other;
  EpochDomain::Reader reader;
  std::optional<EpochGuard> guard(std::in_place, reader, one);
  int freed = 0;
  for (int n = 0; n < 3; ++n) {
    one.retire(EpochDomain::Retirement([&] { freed += 100; }));
    other.retire(EpochDomain::Retirement([&] { ++freed; }));
  }
  CHECK_EQUAL(freed, 3);
  guard.reset();
  EpochDomain::collect();
  CHECK_EQUAL(freed, 303);
  // A guard that is younger than what is retired does not hold it.
  guard.emplace(reader, one);
  one.retire(EpochDomain::Retirement([&] { freed = 1; }));
  CHECK_EQUAL(freed, 303);
  EpochDomain::Reader second;
  const EpochGuard young(second, one);
  guard.reset();
  EpochDomain::collect();
  CHECK_EQUAL(freed, 1);
}

}  // namespace

int main() {
  testWithoutReaders();
  testTheGuardsOfOthersDoNotMatter();
  testAGuardIsWaitedFor();
  testWhoWasTurnedAwayIsWoken();
  testOthersAreNotWoken();
  testSharedMarksLoseNobody();
  testNobodyMeets();
  testWhatIsRetiredIsFreedByEachItsOwn();
}
