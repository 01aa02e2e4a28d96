// sources: sva/*.cc memory/*.cc base/fd_closer.cc
#include <cerrno>

#include "memory/reader_exclusion.h"
#include "sva/pasid_table.h"
#include "sva_readers.h"

namespace {

using namespace sva_test;
using mdev::kMaxPasid;

uint64_t seen(const PasidTable& table, uint32_t pasid) {
  static PasidReader reader;
  const PasidGuard guard(reader, table, pasid);
  if (guard.state() != PasidState::found) return 0;
  const Translation piece = guard.space().translate(0, 8, mdev::kDmaRead);
  return piece.kind == Translation::Kind::mapped ? load(piece.pointer) : 0;
}

mdev::FileDescriptor stamped(uint64_t value) {
  mdev::FileDescriptor file = memoryFile(1);
  stamp(file.get(), 0, value);
  return file;
}

void testAttach() {
  PasidTable table;
  const mdev::FileDescriptor one = stamped(11);
  const mdev::FileDescriptor two = stamped(22);
  const auto first = spaceOf(one, 1);
  const auto second = spaceOf(two, 1);
  CHECK_EQUAL(table.attach(kMaxPasid + 1, first), EINVAL);
  CHECK_EQUAL(table.attach(1, nullptr), EINVAL);
  CHECK_EQUAL(table.replace(1, first), ENOENT);
  CHECK_EQUAL(table.detach(1), ENOENT);
  CHECK_EQUAL(table.detach(kMaxPasid + 1), ENOENT);
  for (const uint32_t pasid : {uint32_t{0}, uint32_t{1}, uint32_t{1023}, uint32_t{1024}, kMaxPasid}) {
    CHECK_EQUAL(table.attach(pasid, first), 0);
    CHECK_EQUAL(table.attach(pasid, second), EEXIST);
    CHECK_EQUAL(seen(table, pasid), uint64_t{0});
  }
  CHECK_EQUAL(table.size(), std::size_t{5});
  table.setReachable(true);
  CHECK_EQUAL(seen(table, kMaxPasid), uint64_t{11});
  CHECK_EQUAL(seen(table, kMaxPasid - 1), uint64_t{0});
  CHECK_EQUAL(seen(table, kMaxPasid + 1), uint64_t{0});
  CHECK_EQUAL(table.replace(1023, second), 0);
  CHECK_EQUAL(seen(table, 1023), uint64_t{22});
  CHECK_EQUAL(seen(table, 1024), uint64_t{11});
  CHECK_EQUAL(table.detach(1024), 0);
  CHECK_EQUAL(seen(table, 1024), uint64_t{0});
  table.setReachable(false);
  CHECK_EQUAL(seen(table, 1), uint64_t{0});
  CHECK(table.attached(1) == first);
  table.setReachable(true);
  CHECK_EQUAL(seen(table, 1), uint64_t{11});
  table.detachAll();
  CHECK_EQUAL(table.size(), std::size_t{0});
  for (const uint32_t pasid : {uint32_t{0}, uint32_t{1}, uint32_t{1023}, kMaxPasid}) {
    CHECK_EQUAL(seen(table, pasid), uint64_t{0});
    CHECK(table.attached(pasid) == nullptr);
  }
  CHECK_EQUAL(first.use_count(), 1L);
  CHECK_EQUAL(second.use_count(), 1L);
}

void testGeneration() {
  PasidTable table;
  const mdev::FileDescriptor file = stamped(1);
  uint64_t last = table.generation();
  const auto moved = [&] {
    const uint64_t earlier = std::exchange(last, table.generation());
    return earlier < last;
  };
  const auto space = spaceOf(file, 1);
  CHECK(table.attach(5, space) == 0 && moved());
  CHECK(table.replace(5, space) == 0 && moved());
  table.invalidate();
  CHECK(moved());
  CHECK(table.detach(5) == 0 && moved());
  CHECK(table.detach(5) == ENOENT && !moved());
  table.setReachable(true);
  table.setReachable(false);
  CHECK(moved());
}

/// A detach, an invalidation and the end of reach wait for a reader of this table, and of no other.
void testWaits() {
  PasidTable table;
  PasidTable other;
  const mdev::FileDescriptor file = stamped(7);
  const auto space = spaceOf(file, 1);
  for (PasidTable* each : {&table, &other}) {
    each->setReachable(true);
    CHECK_EQUAL(each->attach(1, space), 0);
  }
  for (int what = 0; what < 4; ++what) {
    std::atomic<bool> inside{false};
    std::atomic<bool> leaving{false};
    std::thread engine([&] {
      PasidReader reader;
      const PasidGuard guard(reader, table, 1);
      CHECK(guard.state() == PasidState::found);
      inside.store(true);
      while (!leaving.load()) std::this_thread::yield();
    });
    while (!inside.load()) std::this_thread::yield();
    // Does not wait: it would for ever.
    other.invalidate();
    std::atomic<bool> done{false};
    std::thread owner([&] {
      if (what == 0) table.invalidate();
      if (what == 1) table.setReachable(false);
      if (what == 2) CHECK_EQUAL(table.replace(1, space), 0);
      if (what == 3) CHECK_EQUAL(table.detach(1), 0);
      CHECK(leaving.load());
      done.store(true);
    });
    for (int turn = 0; turn < 1000; ++turn) std::this_thread::yield();
    CHECK(!done.load());
    leaving.store(true);
    engine.join();
    owner.join();
    table.setReachable(true);
  }
}

/// Who has a space to himself has it from those who come by PASID, too; they hear of the end.
void testReadersAreKeptOut() {
  PasidTable table;
  const mdev::FileDescriptor file = stamped(7);
  const auto space = spaceOf(file, 1);
  table.setReachable(true);
  CHECK_EQUAL(table.attach(1, space), 0);
  int woken = 0;
  PasidReader reader([&] { ++woken; });
  CHECK(PasidGuard::admits(reader, table, 1) && PasidGuard::admits(reader, table, 2));
  {
    mdev::ReaderExclusion exclusion(space->readers());
    CHECK(exclusion.complete());
    {
      const PasidGuard guard(reader, table, 1);
      CHECK(guard.state() == PasidState::excluded);
      // It is in nobody's way.
      CHECK_EQUAL(space->unmap(0, kPage), 0);
    }
    CHECK(!PasidGuard::admits(reader, table, 1));
    // Nobody keeps it from finding out that there is nothing.
    CHECK(PasidGuard(reader, table, 2).state() == PasidState::absent);
    CHECK(PasidGuard::admits(reader, table, 2));
    CHECK_EQUAL(woken, 0);
  }
  CHECK_EQUAL(woken, 1);
  CHECK(PasidGuard(reader, table, 1).state() == PasidState::found);
  CHECK(PasidGuard::admits(reader, table, 1));
}

}  // namespace

int main() {
  testReadersAreKeptOut();
  testAttach();
  testGeneration();
  testWaits();
}
