// sources: dsa/operations/past_caches.cc
// sanitize: address,undefined
//
// Copies past the caches, at every alignment within a cache line: the bytes of a memcpy, and none beside them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "dsa/operations/past_caches.h"

namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kMargin = 2 * kLine;

void testCopy(std::mt19937_64& random, std::size_t to, std::size_t from, std::size_t length) {
  std::vector<std::byte> source(kLine + from + length);
  std::vector<std::byte> destination(kMargin + to + length + kMargin, std::byte{0xee});
  for (std::byte& byte : source) byte = std::byte(random());
  std::vector<std::byte> expected = destination;
  std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(from), length,
              expected.begin() + static_cast<std::ptrdiff_t>(kMargin + to));
  mdev::dsa::copyPastCaches(destination.data() + kMargin + to, source.data() + from, length,
                            random() % 2 == 0 ? nullptr : source.data());
  CHECK(destination == expected);
}

}  // namespace

int main() {
  constexpr uint64_t kSeed = 20261122;
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  std::mt19937_64 random(kSeed);
  for (std::size_t to = 0; to < kLine; ++to) testCopy(random, to, random() % kLine, random() % (2 * kLine));
  for (std::size_t from = 0; from < kLine; ++from) {
    testCopy(random, random() % kLine, from, mdev::dsa::kWorthPassingCaches + random() % 70'000);
  }
  // Around the point from which nothing is left to be fetched ahead.
  for (std::size_t length = mdev::dsa::kCopyAhead - kLine; length <= mdev::dsa::kCopyAhead + 2 * kLine; ++length) {
    testCopy(random, random() % kLine, random() % kLine, length);
  }
}
