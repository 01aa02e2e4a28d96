// What could become on the way of what one process writes for another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

namespace handover_test {

using Bytes = std::vector<std::byte>;

/// Rounds of each random test: as many as MDEV_STRESS_STEPS says in a long run.
inline uint32_t rounds(uint32_t few) {
  const char* const text = std::getenv("MDEV_STRESS_STEPS");
  return text == nullptr ? few : std::max(few, static_cast<uint32_t>(std::atoi(text)) / 8);
}

/// Gives `take` everything that could become of `good` on the way: cut at every
/// byte, a bit of each byte turned, bytes too many, a few bytes changed, and
/// noise.
inline void spoil(const Bytes& good, uint32_t seed, uint32_t few, const std::function<void(const Bytes&)>& take) {
  std::mt19937 random(seed);
  for (std::size_t size = 0; size < good.size(); ++size) take(Bytes(good.begin(), good.begin() + size));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes changed = good;
    changed[at] ^= std::byte(1u << random() % 8);
    take(changed);
  }
  for (const std::size_t more : {1u, 4u, 100u}) {
    Bytes longer = good;
    longer.resize(good.size() + more);
    take(longer);
  }
  for (uint32_t round = rounds(few); round > 0; --round) {
    Bytes changed = good;
    for (uint32_t left = 1 + random() % 4; left > 0; --left) {
      constexpr unsigned kEdges[] = {0, 1, 0x7f, 0x80, 0xff};
      changed[random() % changed.size()] = std::byte(random() % 2 == 0 ? kEdges[random() % 5] : random());
    }
    take(changed);
    Bytes noise(random() % 64);
    for (std::byte& byte : noise) byte = std::byte(random());
    take(noise);
  }
}

}  // namespace handover_test
