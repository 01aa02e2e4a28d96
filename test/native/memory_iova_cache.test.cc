// sources: memory/iova_tree.cc memory/iova_tree_change.cc memory/iova_tree_nodes.cc memory/epoch.cc memory/epoch_process.cc
// sanitize: address,undefined
//
// Caches of look-ups that are asked now and then: what changed meanwhile, they never answer from before.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <random>
#include <vector>

#include "check.h"
#include "memory/epoch.h"
#include "memory/iova_cache.h"
#include "memory/iova_tree.h"

namespace {

using mdev::IovaCache;
using mdev::IovaEntry;
using mdev::IovaTree;

constexpr uint64_t kPage = 4096;

/// A tree of maps of one page, and the reference. No two maps ever made have the same offset.
class Maps {
 public:
  void map(uint64_t page) {
    if (const auto [place, isNew] = offsets_.emplace(page, ++last_ * kPage); isNew) {
      tree_.reserve();
      tree_.insert({page * kPage, page * kPage + kPage - 1, place->second, nullptr, 3});
    }
  }
  void unmap(uint64_t first, uint64_t last) {
    offsets_.erase(offsets_.lower_bound(first), offsets_.upper_bound(last));
    tree_.reserve();
    tree_.erase(first * kPage, last * kPage + kPage - 1, [](const IovaEntry&) {});
    CHECK(tree_.size() == offsets_.size());
  }
  void check(IovaCache& cache, uint64_t page) const {
    const auto expected = offsets_.find(page);
    const IovaEntry* const found = cache.find(tree_, page * kPage);
    CHECK((found != nullptr) == (expected != offsets_.end()));
    CHECK(found == nullptr || (found->first == page * kPage && found->offset() == expected->second));
  }
  uint64_t highest() const { return offsets_.empty() ? 0 : offsets_.rbegin()->first; }
  const IovaTree& tree() const { return tree_; }

 private:
  std::map<uint64_t, uint64_t> offsets_;
  mdev::EpochDomain epochs_;
  IovaTree tree_{epochs_};
  uint64_t last_ = 0;
};

/// Two leaves become one again: the one that is left was made by the change before.
void testCollapse(uint64_t firstGone, uint64_t lastGone) {
  Maps maps;
  std::array<IovaCache, 16> caches;
  for (uint64_t page = 0; page < caches.size(); ++page) maps.map(page);
  CHECK(maps.tree().height() == 2);
  for (uint64_t page = 0; page < caches.size(); ++page) maps.check(caches[page], page);
  maps.unmap(firstGone, lastGone);
  CHECK(maps.tree().height() == 1);
  for (uint64_t page = 0; page < caches.size(); ++page) maps.check(caches[page], page);
}

/// Each cache is behind by another number of changes when it is asked.
void testRareLookups(uint64_t seed) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const auto below = [&random](uint64_t limit) { return random() % limit; };
  for (int round = 0; round < 40; ++round) {
    Maps maps;
    /// Each is asked after one of 1, 2, 4, 8 … changes, about.
    std::array<IovaCache, 6> caches;
    /// Places where a cache may have something that is gone, and others.
    std::vector<uint64_t> places;
    const uint64_t pages = uint64_t{16} << below(12);
    for (uint64_t steps = 200 + below(1500); steps > 0; --steps) {
      const bool sweeping = below(50) == 0;
      if (sweeping || below(3) == 0) {
        const uint64_t from = below(4) == 0 ? maps.highest() - std::min(maps.highest(), below(16)) : below(pages);
        const uint64_t last = from + (sweeping ? below(pages) : below(uint64_t{1} << below(7)));
        maps.unmap(from, last);
        places.push_back(from);
        places.push_back(last);
      } else {
        const uint64_t page = below(2) == 0 ? (maps.highest() + 1) % pages : below(pages);
        maps.map(page);
        places.push_back(page);
      }
      for (size_t index = 0; index < caches.size(); ++index) {
        if (below(uint64_t{1} << index) != 0) continue;
        for (int time = 0; time < 4; ++time)
          maps.check(caches[index], time < 3 ? places[places.size() - 1 - below(std::min<uint64_t>(places.size(), 40))]
                                             : below(pages));
      }
    }
    CHECK(maps.tree().consistent());
  }
}

}  // namespace

int main() {
  testCollapse(12, 15);
  testCollapse(0, 11);
  testCollapse(1, 14);
  testCollapse(11, 12);
  for (uint64_t seed = 1; seed <= 4; ++seed) testRareLookups(seed);
}
