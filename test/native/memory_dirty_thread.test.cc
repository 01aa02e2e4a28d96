// sources: memory/*.cc base/fd_closer.cc
// sanitize: thread
//
// No write is lost between engines that mark and an owner that reports, starts, stops and unmaps meanwhile.
#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "memory/dma_space.h"
#include "memory_support.h"

namespace {

using mdev::DmaSpace;
using mdev::EpochDomain;
using mdev::EpochGuard;
using mdev::FileDescriptor;
using mdev::Translation;
using namespace memory_test;

constexpr uint64_t kPages = 256;
constexpr uint64_t kWriters = 3;
constexpr uint64_t kWrites = 30000;
/// Over the end of a chunk of the log.
constexpr uint64_t kBase = (uint64_t{1} << 27) - kPages / 2 * kPage;

/// What a migrating client does: it copies a page whenever the page is reported. In the end the copy must equal the
/// memory. Each writer has a word of its own in every page, and its writes and the copies are ordered by the marks
/// only.
void testNothingIsLost(bool all) {
  const FileDescriptor file = memoryFile(kPages);
  DmaSpace space;
  space.setBusMaster(true);
  CHECK(space.map(kBase, kPages * kPage, kBoth, duplicate(file), 0) == 0);
  std::vector<mdev::DirtyRange> ranges;
  if (!all) ranges.push_back({kBase, kPages * kPage});

  // Stands for the guest's memory: ThreadSanitizer watches plain words where the order is what is tested.
  std::vector<std::vector<uint64_t>> memory(kWriters, std::vector<uint64_t>(kPages));
  std::vector<std::vector<uint64_t>> copy(kWriters, std::vector<uint64_t>(kPages));
  std::vector<std::vector<std::atomic<uint64_t>>> announced(kWriters);
  for (auto& one : announced) one = std::vector<std::atomic<uint64_t>>(kPages);
  std::atomic<uint64_t> running{kWriters};

  std::vector<std::thread> writers;
  for (uint64_t index = 0; index < kWriters; ++index) {
    writers.emplace_back([&, index] {
      EpochDomain::Reader reader;
      std::mt19937_64 random(index + 1);
      for (uint64_t round = 1; round <= kWrites; ++round) {
        const uint64_t page = random() % kPages;
        {
          const EpochGuard guard(reader, space.epochs());
          const uint64_t iova = kBase + page * kPage + index * 8;
          const Translation piece = space.translate(iova, 8, mdev::kDmaWrite);
          CHECK(piece.kind == Translation::Kind::mapped);
          std::atomic_ref<uint64_t>(memory[index][page]).store(round, std::memory_order_relaxed);
          CHECK(space.finish(piece, piece.pointer, 8, true));
        }
        // The completion record: whoever sees it finds the page reported now or earlier.
        announced[index][page].store(round, std::memory_order_release);
      }
      running.fetch_sub(1);
    });
  }

  CHECK(space.startDirtyLog(kPage, ranges) == 0);
  // What was written before START is the client's first full copy.
  for (uint64_t index = 0; index < kWriters; ++index)
    for (uint64_t page = 0; page < kPages; ++page)
      copy[index][page] = std::atomic_ref<uint64_t>(memory[index][page]).load(std::memory_order_relaxed);
  std::mt19937_64 random(7);
  uint64_t reports = 0;
  uint64_t copied = 0;
  const auto sync = [&](uint64_t first, uint64_t count) {
    std::vector<uint64_t> seen;
    for (uint64_t page = first; page < first + count; ++page)
      for (uint64_t index = 0; index < kWriters; ++index)
        seen.push_back(announced[index][page].load(std::memory_order_acquire));
    std::vector<std::byte> bitmap(mdev::dirtyBitmapBytes(count * kPage, kPage));
    CHECK(space.reportDirty(kBase + first * kPage, count * kPage, {kPage, bitmap}) == 0);
    ++reports;
    for (uint64_t page = first; page < first + count; ++page) {
      const uint64_t bit = page - first;
      if ((static_cast<unsigned>(bitmap[bit / 8]) >> bit % 8 & 1) != 0) {
        ++copied;
        for (uint64_t index = 0; index < kWriters; ++index)
          copy[index][page] = std::atomic_ref<uint64_t>(memory[index][page]).load(std::memory_order_relaxed);
      }
      for (uint64_t index = 0; index < kWriters; ++index) CHECK(copy[index][page] >= seen[bit * kWriters + index]);
    }
  };
  while (running.load() != 0) {
    const uint64_t first = random() % kPages;
    sync(first, 1 + random() % (kPages - first));
  }
  for (auto& writer : writers) writer.join();
  sync(0, kPages);
  CHECK(copy == memory);
  std::printf("%llu reports, %llu pages copied\n", static_cast<unsigned long long>(reports),
              static_cast<unsigned long long>(copied));
}

/// Tracking comes and goes, maps too, while engines write.
void testStartAndStop() {
  const FileDescriptor file = memoryFile(kPages);
  DmaSpace space;
  space.setBusMaster(true);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  std::atomic<uint64_t> writes{0};
  for (uint64_t index = 0; index < kWriters; ++index) {
    writers.emplace_back([&, index] {
      EpochDomain::Reader reader;
      std::mt19937_64 random(index + 1);
      while (!stop.load(std::memory_order_relaxed)) {
        const EpochGuard guard(reader, space.epochs());
        const Translation piece = space.translate(kBase + random() % kPages * kPage, kPage, mdev::kDmaWrite);
        if (piece.kind != Translation::Kind::mapped) continue;
        CHECK(space.finish(piece, piece.pointer, piece.length, true));
        writes.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  uint64_t dirty = 0;
  for (uint64_t round = 0; round < 400 || writes.load() < 20000; ++round) {
    std::vector<mdev::DirtyRange> ranges;
    if (round % 2 == 0) ranges.push_back({kBase, kPages * kPage});
    CHECK(space.startDirtyLog(kPage << round % 3, ranges) == 0);
    CHECK(space.map(kBase, kPages * kPage, kBoth, duplicate(file), 0) == 0);
    std::vector<std::byte> bitmap(mdev::dirtyBitmapBytes(kPages * kPage, kPage));
    const uint64_t before = writes.load();
    while (writes.load() == before) std::this_thread::yield();
    CHECK(space.reportDirty(kBase, kPages * kPage, {kPage, bitmap}) == 0);
    if (round % 3 == 0) space.stopDirtyLog();
    if (space.dirtyPageSize() != 0) {
      CHECK(space.unmapReporting(kBase, kPages * kPage, {kPage, bitmap}) == 0);
    } else {
      CHECK(space.unmap(kBase, kPages * kPage) == 0);
    }
    for (const std::byte byte : bitmap) dirty += byte != std::byte{0} ? 1 : 0;
    space.stopDirtyLog();
  }
  stop.store(true);
  for (auto& writer : writers) writer.join();
  CHECK(dirty > 0);
}

}  // namespace

int main() {
  testNothingIsLost(true);
  testNothingIsLost(false);
  testStartAndStop();
  CHECK(mappings().empty());
}
