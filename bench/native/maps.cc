// maps lookup|change --maps N: times what guest memory costs with N DMA maps of a page each, inside the process. Prints
// one line of JSON, as the client does (samples.h).
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "memory/dma_space.h"
#include "memory/epoch.h"

extern "C" {
#include "fail.h"
#include "samples.h"
}

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBase = uint64_t{1} << 32;
constexpr size_t kSamples = 64;
constexpr uint32_t kBoth = mdev::kDmaRead | mdev::kDmaWrite;

uint64_t addressOf(uint64_t page) { return kBase + page * kPage; }

mdev::FileDescriptor duplicate(const mdev::FileDescriptor& fd) {
  mdev::FileDescriptor copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  REQUIRE(copy, "fcntl: %s", strerror(errno));
  return copy;
}

/// A space with `maps` maps of one file. The order in which they were made is random: a tree that grew in order is
/// denser.
struct Memory {
  mdev::FileDescriptor file;
  mdev::DmaSpace space;

  explicit Memory(uint64_t maps) : file(::memfd_create("bench-maps", MFD_CLOEXEC)) {
    REQUIRE(file && ::ftruncate(file.get(), static_cast<off_t>(maps * kPage)) == 0, "memfd: %s", strerror(errno));
    mdev::DmaLimits limits;
    limits.maxMappings = maps;
    REQUIRE(space.setLimits(limits) == 0, "limits refused");
    std::vector<uint64_t> pages(maps);
    for (uint64_t page = 0; page < maps; ++page) pages[page] = page;
    std::shuffle(pages.begin(), pages.end(), std::mt19937_64(1));
    for (const uint64_t page : pages) map(page);
    space.setBusMaster(true);
  }

  /// The offset depends on the page, so that neighbours never look like one map.
  void map(uint64_t page) {
    const int error = space.map(addressOf(page), kPage, kBoth, duplicate(file), page * kPage);
    REQUIRE(error == 0, "map: %s", strerror(error));
  }
  void unmap(uint64_t page) {
    const int error = space.unmap(addressOf(page), kPage);
    REQUIRE(error == 0, "unmap: %s", strerror(error));
  }
};

/// Looks all of `addresses` up, each under a guard of its own, as engines do for each chunk.
void lookUp(Memory& memory, mdev::EpochDomain::Reader& reader, const std::vector<uint64_t>& addresses,
            struct samples& samples) {
  mdev::IovaCache cache;
  uint64_t found = 0;
  const uint64_t start = now_ns();
  for (const uint64_t address : addresses) {
    const mdev::EpochGuard guard(reader, memory.space.epochs());
    const mdev::Translation piece = memory.space.translate(address, 64, mdev::kDmaRead, &cache);
    found += memory.space.finish(piece, piece.pointer, piece.length, false) ? piece.length : 0;
  }
  samples_add(&samples, now_ns() - start);
  REQUIRE(found == 64 * addresses.size(), "a look-up failed");
}

/// Three streams, source, destination and records, each 48 accesses to a page before the next: an access a page.
std::vector<uint64_t> streams(uint64_t maps, size_t count, uint64_t from) {
  constexpr uint64_t kAccesses = 48;
  std::vector<uint64_t> addresses;
  for (uint64_t step = from; addresses.size() < count; ++step) {
    for (uint64_t stream = 0; stream < 3; ++stream)
      addresses.push_back(addressOf((stream * maps / 3 + step / kAccesses) % maps) + step % kAccesses * 64);
  }
  return addresses;
}

std::vector<uint64_t> scattered(uint64_t maps, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> addresses(count);
  for (uint64_t& address : addresses) address = addressOf(random() % maps) + random() % 64 * 64;
  return addresses;
}

void measureLookup(uint64_t maps) {
  // A sample sees other addresses than the one before it, and enough of them that they are not remembered.
  constexpr size_t kLookups = 48 * 1024;
  Memory memory(maps);
  mdev::EpochDomain::Reader reader;
  std::array series = {samples_create("streams", kSamples, kLookups), samples_create("random", kSamples, kLookups)};
  for (size_t sample = 0; sample < kSamples; ++sample) {
    lookUp(memory, reader, streams(maps, kLookups, sample * kLookups), series[0]);
    lookUp(memory, reader, scattered(maps, kLookups, sample + 1), series[1]);
  }
  samples_print(series.data(), series.size());
}

/// Unmaps a page somewhere and maps it again.
void measureChange(uint64_t maps) {
  constexpr size_t kChanges = 64 * kSamples;
  Memory memory(maps);
  std::array series = {samples_create("map", kChanges, 1), samples_create("unmap", kChanges, 1)};
  std::mt19937_64 random(7);
  for (size_t change = 0; change < kChanges; ++change) {
    const uint64_t page = random() % maps;
    const uint64_t start = now_ns();
    memory.unmap(page);
    const uint64_t between = now_ns();
    memory.map(page);
    const uint64_t end = now_ns();
    samples_add(&series[1], between - start);
    samples_add(&series[0], end - between);
  }
  samples_print(series.data(), series.size());
}

}  // namespace

int main(int argc, char** argv) {
  REQUIRE(argc == 4 && std::strcmp(argv[2], "--maps") == 0, "usage: maps lookup|change --maps N");
  const uint64_t maps = std::strtoull(argv[3], nullptr, 10);
  REQUIRE(maps > 0, "not a number of maps: %s", argv[3]);
  if (std::strcmp(argv[1], "lookup") == 0) {
    measureLookup(maps);
  } else {
    measureChange(maps);
  }
}
