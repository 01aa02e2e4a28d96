// sources: memory/*.cc base/fd_closer.cc
// sanitize: address,undefined
//
// Dirty-page tracking against a pure model: what is written is reported once, in any page size, for any range.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "memory/dma_space.h"
#include "memory_support.h"

namespace {

/// Allocations that are still granted; -1: all.
int granted = -1;

}  // namespace

void* operator new(std::size_t size) {
  if (granted == 0) throw std::bad_alloc();
  if (granted > 0) --granted;
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using mdev::DirtyQuery;
using mdev::DirtyRange;
using mdev::DmaSpace;
using mdev::EpochDomain;
using mdev::EpochGuard;
using mdev::FileDescriptor;
using mdev::kDmaWrite;
using mdev::Translation;
using namespace memory_test;

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kTop = ~uint64_t{0};

EpochDomain::Reader& reader() {
  static EpochDomain::Reader instance;
  return instance;
}

/// Writes as an engine does, map by map.
void write(const DmaSpace& space, uint64_t iova, uint64_t length) {
  while (length != 0) {
    const EpochGuard guard(reader(), space.epochs());
    const Translation piece = space.translate(iova, length, kDmaWrite);
    CHECK(piece.kind == Translation::Kind::mapped && piece.iova == iova);
    CHECK(space.finish(piece, piece.pointer, piece.length, true));
    iova += piece.length;
    length -= piece.length;
  }
}

std::vector<std::byte> bitmapFor(uint64_t length, uint64_t pageSize) {
  return std::vector<std::byte>(mdev::dirtyBitmapBytes(length, pageSize));
}

std::set<uint64_t> bitsOf(const std::vector<std::byte>& bitmap) {
  std::set<uint64_t> bits;
  for (uint64_t index = 0; index < bitmap.size() * 8; ++index)
    if ((static_cast<unsigned>(bitmap[index / 8]) >> index % 8 & 1) != 0) bits.insert(index);
  return bits;
}

/// The bits of a report that must succeed.
std::set<uint64_t> report(const DmaSpace& space, uint64_t iova, uint64_t length, uint64_t pageSize = kPage) {
  auto bitmap = bitmapFor(length, pageSize);
  CHECK_EQUAL(space.reportDirty(iova, length, {pageSize, bitmap}), 0);
  return bitsOf(bitmap);
}

int reportError(const DmaSpace& space, uint64_t iova, uint64_t length, uint64_t pageSize) {
  auto bitmap = bitmapFor(std::max<uint64_t>(1, length), std::max<uint64_t>(1, pageSize));
  const int error = space.reportDirty(iova, length, {pageSize, bitmap});
  CHECK(bitsOf(bitmap).empty());
  return error;
}

int start(DmaSpace& space, uint64_t pageSize, std::vector<DirtyRange> ranges = {}) {
  return space.startDirtyLog(pageSize, ranges);
}

/// 32 pages at 0x10 pages with a file, as in the checklist of the reference server.
std::unique_ptr<DmaSpace> spaceWithRegion(const FileDescriptor& file) {
  auto space = std::make_unique<DmaSpace>();
  space->setBusMaster(true);
  CHECK(space->map(16 * kPage, 32 * kPage, kBoth, duplicate(file), 0) == 0);
  return space;
}

void testStartArguments() {
  DmaSpace space;
  CHECK(start(space, 0) == EINVAL);
  CHECK(start(space, 3 * kPage) == EINVAL);
  CHECK(start(space, kPage, {{0, 0}}) == EINVAL);
  CHECK(start(space, kPage, {{8, kPage}}) == EINVAL);
  CHECK(start(space, kPage, {{0, kPage + 8}}) == EINVAL);
  CHECK(start(space, kPage, {{0, 4 * kPage}, {3 * kPage, kPage}}) == EINVAL);
  CHECK(start(space, kPage, {{0, kPage}, {0, kPage}}) == EINVAL);
  CHECK(start(space, kPage, {{kTop - kPage + 1, 2 * kPage}}) == EOVERFLOW);
  CHECK(start(space, kPage, std::vector<DirtyRange>(257, {0, kPage})) == E2BIG);
  // 64 MiB of log are almost 2 TiB of memory in pages of 4 KiB.
  CHECK(start(space, kPage, {{0, kGiB << 11}}) == ENOSPC);
  CHECK(start(space, kPage, {{0, uint64_t{1} << 63}}) == ENOSPC);
  CHECK(space.dirtyPageSize() == 0);
  CHECK(start(space, kPage, {{0, kGiB << 10}}) == 0);
  space.stopDirtyLog();
  CHECK(start(space, kGiB, {{0, uint64_t{1} << 53}}) == 0);
  CHECK_EQUAL(space.dirtyPageSize(), kGiB);
  space.stopDirtyLog();
  CHECK(start(space, uint64_t{1} << 63, {{0, uint64_t{1} << 63}, {uint64_t{1} << 63, uint64_t{1} << 63}}) == 0);
  space.stopDirtyLog();
  space.stopDirtyLog();

  std::vector<DirtyRange> many;
  for (uint64_t index = 0; index < 256; ++index) many.push_back({index * 2 * kPage, kPage});
  CHECK(start(space, kPage, many) == 0);
  CHECK(start(space, kPage, many) == 0);
  CHECK(start(space, kPage / 2, many) == EINVAL);
  CHECK(start(space, kPage) == EINVAL);
  many.pop_back();
  CHECK(start(space, kPage, many) == EINVAL);
  CHECK(report(space, 0, kPage).empty());
  CHECK(reportError(space, 0, 2 * kPage, kPage) == ENOENT);
  space.stopDirtyLog();
  CHECK(start(space, 512) == 0);
  CHECK_EQUAL(space.dirtyPageSize(), kPage);
  CHECK(start(space, kPage) == EINVAL);
}

void testReportArguments() {
  const FileDescriptor file = memoryFile(32);
  auto space = spaceWithRegion(file);
  CHECK(reportError(*space, 16 * kPage, kPage, kPage) == EINVAL);
  CHECK(start(*space, kPage) == 0);
  CHECK(reportError(*space, 16 * kPage, 0, kPage) == EINVAL);
  CHECK(reportError(*space, 16 * kPage, 32 * kPage, 0) == EINVAL);
  CHECK(reportError(*space, 16 * kPage, 32 * kPage, 3) == EINVAL);
  CHECK(reportError(*space, 16 * kPage, 32 * kPage, 64 * kPage) == EINVAL);
  CHECK(reportError(*space, kTop - kPage + 1, 2 * kPage, kPage) == EOVERFLOW);
  CHECK(reportError(*space, 100 * kPage, kPage, kPage) == ENOENT);
  std::vector<std::byte> small(8);
  CHECK(space->reportDirty(16 * kPage, 32 * kPage, {256, small}) == EINVAL);
  CHECK(report(*space, 16 * kPage, 32 * kPage).empty());
  space->stopDirtyLog();
  CHECK(reportError(*space, 16 * kPage, kPage, kPage) == EINVAL);
}

// The reference server's checks: reading marks nothing, a report clears, other page sizes expand and combine.
void testPages() {
  const FileDescriptor file = memoryFile(32);
  auto space = spaceWithRegion(file);
  const uint64_t base = 16 * kPage;
  const uint64_t size = 32 * kPage;
  write(*space, base, kPage);
  CHECK(start(*space, kPage) == 0);
  CHECK(report(*space, base, size).empty());
  const auto dirty = [&] {
    write(*space, base + 10, 1);
    write(*space, base + 6 * kPage + 7, 4 * kPage - 7);
  };
  dirty();
  {
    const EpochGuard guard(reader(), space->epochs());
    const Translation piece = space->translate(base + 20 * kPage, kPage, mdev::kDmaRead);
    CHECK(space->finish(piece, piece.pointer, piece.length, false));
  }
  CHECK(report(*space, base, size) == (std::set<uint64_t>{0, 6, 7, 8, 9}));
  CHECK(report(*space, base, size).empty());
  dirty();
  CHECK(report(*space, base, size, kPage / 2) == (std::set<uint64_t>{0, 1, 12, 13, 14, 15, 16, 17, 18, 19}));
  dirty();
  CHECK(report(*space, base, size, 2 * kPage) == (std::set<uint64_t>{0, 3, 4}));
  dirty();
  CHECK(report(*space, base, size, 16 * kPage) == (std::set<uint64_t>{0}));
  CHECK(report(*space, base, size, 16 * kPage).empty());
  // Sub-ranges that begin anywhere; what is outside stays.
  dirty();
  CHECK(report(*space, base + 7 * kPage, kPage) == (std::set<uint64_t>{0}));
  CHECK(report(*space, base + 5 * kPage, 3 * kPage) == (std::set<uint64_t>{1}));
  // A page that lies in the range in part stays as it is.
  CHECK(report(*space, base + 8 * kPage + 512, 512, 256) == (std::set<uint64_t>{0, 1}));
  CHECK(report(*space, base, size) == (std::set<uint64_t>{0, 8, 9}));
  // Bits are added to what is there.
  write(*space, base, 1);
  auto bitmap = bitmapFor(size, kPage);
  bitmap[3] = std::byte{0x80};
  CHECK(space->reportDirty(base, size, {kPage, bitmap}) == 0);
  CHECK(bitsOf(bitmap) == (std::set<uint64_t>{0, 31}));
}

void testBackwardPieces() {
  const FileDescriptor file = memoryFile(32);
  auto space = spaceWithRegion(file);
  CHECK(start(*space, kPage) == 0);
  const EpochGuard guard(reader(), space->epochs());
  // An engine that walks backward writes the end of the piece that it got.
  const Translation piece = space->translateBackward(20 * kPage, 3 * kPage, kDmaWrite);
  CHECK(piece.iova == 17 * kPage && piece.length == 3 * kPage);
  CHECK(space->finish(piece, piece.pointer + 2 * kPage + 100, kPage - 100, true));
  CHECK(report(*space, 16 * kPage, 32 * kPage) == (std::set<uint64_t>{3}));
}

// If everything is tracked, a map's marks go with it; of ranges that were named they stay until they are read: a
// client asks for them after the unmap.
void testUnmap() {
  const FileDescriptor file = memoryFile(32);
  for (const bool all : {true, false}) {
    auto space = spaceWithRegion(file);
    CHECK(start(*space, kPage, all ? std::vector<DirtyRange>{} : std::vector<DirtyRange>{{0, 64 * kPage}}) == 0);
    CHECK(space->map(48 * kPage, kPage, kBoth, duplicate(file), 0) == 0);
    write(*space, 20 * kPage, 1);
    write(*space, 48 * kPage, 1);
    uint64_t unmapped = 0;
    CHECK(space->unmap(16 * kPage, 32 * kPage, &unmapped) == 0 && unmapped == 32 * kPage);
    if (all) {
      CHECK(reportError(*space, 16 * kPage, 32 * kPage, kPage) == ENOENT);
      CHECK(space->map(16 * kPage, 32 * kPage, kBoth, duplicate(file), 0) == 0);
      CHECK(report(*space, 16 * kPage, 32 * kPage).empty());
    } else {
      CHECK(report(*space, 16 * kPage, 32 * kPage) == (std::set<uint64_t>{4}));
    }
    CHECK(report(*space, 48 * kPage, kPage) == (std::set<uint64_t>{0}));
  }
}

void testUnmapReporting() {
  const FileDescriptor file = memoryFile(32);
  auto space = spaceWithRegion(file);
  const uint64_t base = 16 * kPage;
  const uint64_t size = 32 * kPage;
  auto bitmap = bitmapFor(size, kPage);
  const auto unmap = [&](uint64_t pageSize) { return space->unmapReporting(base, size, {pageSize, bitmap}); };
  CHECK(unmap(kPage) == EINVAL);
  CHECK(start(*space, kPage, {{base, kPage}}) == 0);
  CHECK(unmap(kPage) == EINVAL);
  space->stopDirtyLog();
  CHECK(start(*space, kPage) == 0);
  write(*space, base + 5 * kPage, kPage);
  CHECK(unmap(0) == EINVAL);
  CHECK(unmap(3) == EINVAL);
  CHECK(unmap(64 * kPage) == EINVAL);
  CHECK(unmap(kPage / 4) == EINVAL);
  CHECK(space->unmapReporting(0, kPage, {kPage, bitmap}) == ENOENT);
  CHECK(space->mappings() == 1 && bitsOf(bitmap).empty());
  CHECK(unmap(kPage) == 0);
  CHECK(space->mappings() == 0 && bitsOf(bitmap) == (std::set<uint64_t>{5}));
}

// Maps that come while everything is tracked need room in the log.
void testLimit() {
  const FileDescriptor file = memoryFile(1);
  auto space = std::make_unique<DmaSpace>();
  CHECK(space->setLimits({.maxDirtyLogBytes = uint64_t{64} << 10}) == 0);
  CHECK(start(*space, kPage) == 0);
  CHECK(space->map(0, kPage, kBoth, duplicate(file), 0) == 0);
  int refused = 0;
  for (uint64_t index = 1; index < 16 && refused == 0; ++index)
    refused = space->map(index * 64 * kGiB, kPage, kBoth, duplicate(file), 0);
  CHECK(refused == ENOSPC);
  const uint64_t held = space->mappings();
  CHECK(space->map(kPage, kPage, kBoth, duplicate(file), 0) == 0);
  space->stopDirtyLog();
  CHECK(space->map(10 * 64 * kGiB, kPage, kBoth, duplicate(file), 0) == 0);
  CHECK(space->mappings() == held + 2);
  CHECK(start(*space, kPage) == ENOSPC);
}

// A log of everything has room for what is mapped, however much was mapped before.
void testRoomComesBack() {
  const FileDescriptor file = memoryFile(4);
  auto space = std::make_unique<DmaSpace>();
  space->setBusMaster(true);
  CHECK(space->setLimits({.maxDirtyLogBytes = uint64_t{3} << 20}) == 0);
  CHECK(start(*space, kPage) == 0);
  // Far from each other, so that each needs all of its path; the first stays, the neighbour of its chunk does not.
  CHECK(space->map(0, kPage, kBoth, duplicate(file), 0) == 0);
  std::mt19937_64 random(5);
  for (int round = 0; round < 2000; ++round) {
    const uint64_t iova = (random() >> 12 | 1) << 12;
    if (iova == kPage) continue;
    CHECK(space->map(iova, kPage, kBoth, duplicate(file), kPage) == 0);
    CHECK(space->map(kPage, kPage, kBoth, duplicate(file), 2 * kPage) == 0);
    write(*space, 0, kPage);
    write(*space, iova, kPage);
    CHECK(space->unmap(iova, kPage) == 0);
    CHECK(space->unmap(kPage, kPage) == 0);
    CHECK(report(*space, 0, kPage) == std::set<uint64_t>{0});
    // What comes there next begins clean.
    CHECK(space->map(iova, kPage, kBoth, duplicate(file), 3 * kPage) == 0);
    CHECK(report(*space, iova, kPage).empty());
    CHECK(space->unmap(iova, kPage) == 0);
  }
  // One large map after the other, and what is refused leaves nothing behind.
  for (uint64_t round = 0; round < 50; ++round) {
    const uint64_t iova = (round + 1) << 42;
    CHECK(space->map(iova, 64 * kGiB, kBoth, FileDescriptor(), 0) == 0);
    CHECK(space->map(iova + (uint64_t{1} << 40), 64 * kGiB, kBoth, FileDescriptor(), 0) == ENOSPC);
    CHECK(space->map(iova + (uint64_t{2} << 40), kPage, kBoth, duplicate(file), 0) == 0);
    if (round % 2 == 0) {
      CHECK(space->unmap(iova, (uint64_t{2} << 40) + kPage) == 0);
    } else {
      CHECK(space->unmapAll() == 64 * kGiB + 2 * kPage);
      CHECK(space->map(0, kPage, kBoth, duplicate(file), 0) == 0);
    }
  }
}

// Whatever a client does in whatever order, against a set of pages.
void testRandom(uint64_t seed, uint64_t base) {
  constexpr uint64_t kPages = 64;
  std::mt19937_64 random(seed);
  const FileDescriptor file = memoryFile(kPages);
  auto space = std::make_unique<DmaSpace>();
  space->setBusMaster(true);
  std::set<uint64_t> mapped;  // pages, each a map
  std::set<uint64_t> dirty;   // pages of `granularity`
  std::vector<std::pair<uint64_t, uint64_t>> tracked;
  uint64_t granularity = 0;
  int reported = 0;
  const auto isTracked = [&](uint64_t first, uint64_t last) {
    // Byte ranges of the model are small; named ranges touch in multiples of 512.
    if (tracked.empty()) return true;
    for (uint64_t at = first / 512; at <= last / 512; ++at) {
      bool inside = false;
      for (const auto& [from, to] : tracked) inside = inside || (from / 512 <= at && at <= to / 512);
      if (!inside) return false;
    }
    return true;
  };
  const auto touchesTracked = [&](uint64_t first, uint64_t last) {
    bool touches = tracked.empty();
    for (const auto& [from, to] : tracked) touches = touches || (from <= last && first <= to);
    return touches;
  };
  for (int step = 0; step < 20000; ++step) {
    const uint64_t page = random() % kPages;
    const uint64_t iova = base + page * kPage;
    const uint64_t choice = random() % 16;
    if (choice < 3) {
      const bool there = mapped.contains(page);
      CHECK(space->map(iova, kPage, kBoth, duplicate(file), page * kPage) == 0);
      mapped.insert(page);
      if (there) continue;
    } else if (choice == 3 && mapped.contains(page)) {
      CHECK(space->unmap(iova, kPage) == 0);
      mapped.erase(page);
      if (granularity != 0 && tracked.empty()) dirty.erase(iova / granularity);
    } else if (choice < 9 && mapped.contains(page)) {
      const uint64_t from = random() % kPage;
      const uint64_t length = 1 + random() % (kPage - from);
      write(*space, iova + from, length);
      if (granularity != 0) dirty.insert(iova / granularity);
    } else if (choice == 9 && random() % 20 == 0) {
      space->stopDirtyLog();
      granularity = 0;
      dirty.clear();
      tracked.clear();
    } else if (choice == 10 && granularity == 0) {
      const uint64_t hint = uint64_t{512} << random() % 7;
      std::vector<DirtyRange> ranges;
      for (uint64_t at = base; random() % 4 != 0;) {
        at += random() % 8 * hint;
        const uint64_t length = (1 + random() % 16) * hint;
        if (at < base || at - base >= kPages * kPage || length > kPages * kPage - (at - base)) break;
        ranges.push_back({at, length});
        tracked.emplace_back(at, at + (length - 1));
        at += length;
        if (at == 0) break;
      }
      CHECK_EQUAL(start(*space, hint, ranges), 0);
      granularity = ranges.empty() ? kPage : std::max(hint, kPage);
      CHECK_EQUAL(space->dirtyPageSize(), granularity);
    } else if (choice > 10 && granularity != 0) {
      const uint64_t unit = uint64_t{512} << random() % 6;
      const uint64_t from = base + random() % (kPages * kPage / unit) * unit;
      const uint64_t room = (kPages * kPage - (from - base)) / unit;
      const uint64_t length = (1 + random() % std::min<uint64_t>(room, 40)) * unit;
      const uint64_t last = from + (length - 1);
      const uint64_t pageSize = uint64_t{128} << random() % 9;
      bool any = false;
      for (const uint64_t there : mapped)
        any = any || (base + there * kPage <= last && base + there * kPage + (kPage - 1) >= from);
      const int expected = pageSize > length         ? EINVAL
                           : !isTracked(from, last)  ? ENOENT
                           : tracked.empty() && !any ? ENOENT
                                                     : 0;
      if (expected != 0) {
        CHECK_EQUAL(reportError(*space, from, length, pageSize), expected);
        continue;
      }
      std::set<uint64_t> bits;
      for (auto at = dirty.begin(); at != dirty.end();) {
        const uint64_t first = *at * granularity;
        const uint64_t end = first + (granularity - 1);
        if (end < from || first > last) {
          ++at;
          continue;
        }
        for (uint64_t bit = (std::max(first, from) - from) / pageSize; bit <= (std::min(end, last) - from) / pageSize;
             ++bit)
          bits.insert(bit);
        const bool keep =
            (first < from && touchesTracked(first, from - 1)) || (end > last && touchesTracked(last + 1, end));
        at = keep ? std::next(at) : dirty.erase(at);
      }
      const auto got = report(*space, from, length, pageSize);
      if (got != bits) std::printf("seed %llu step %d\n", static_cast<unsigned long long>(seed), step);
      CHECK(got == bits);
      reported += bits.empty() ? 0 : 1;
    }
  }
  std::printf("%d reports with dirty pages\n", reported);
  CHECK(reported > 500);
}

/// What is saved for another process stays marked, also when there is no memory to save it.
void testSaveKeeps() {
  const FileDescriptor file = memoryFile(32);
  const auto space = spaceWithRegion(file);
  CHECK(start(*space, kPage) == 0);
  std::set<uint64_t> expected;
  for (uint64_t page = 1; page < 32; page += 2) {
    write(*space, (16 + page) * kPage, 1);
    expected.insert(page);
  }
  int failed = 0;
  for (int most = 0;; ++most) {
    mdev::HandoverWriter archive;
    granted = most;
    try {
      space->saveDirtyLog(archive);
      granted = -1;
      CHECK(!archive.take().empty());
      break;
    } catch (const std::bad_alloc&) {
      granted = -1;
      ++failed;
    }
  }
  CHECK(failed > 2);
  CHECK(report(*space, 16 * kPage, 32 * kPage) == expected);
}

}  // namespace

int main() {
  testSaveKeeps();
  testStartArguments();
  testReportArguments();
  testPages();
  testBackwardPieces();
  testUnmap();
  testUnmapReporting();
  testLimit();
  testRoomComesBack();
  testRandom(1, 0);
  testRandom(2, uint64_t{0} - 64 * kPage);
  testRandom(3, (uint64_t{1} << 27) - 32 * kPage);
  testRandom(4, (uint64_t{1} << 45) - 32 * kPage);
  CHECK(mappings().empty());
}
