// sources: memory/iova_tree.cc memory/iova_tree_change.cc memory/iova_tree_nodes.cc memory/epoch.cc memory/epoch_process.cc
// sanitize: address,undefined
//
// The IOVA tree against std::map: same answers, balanced, and cheap with as many entries as clients ask for.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include "check.h"
#include "memory/epoch.h"
#include "memory/iova_cache.h"
#include "memory/iova_tree.h"

namespace {

using mdev::EpochDomain;
using mdev::EpochGuard;
using mdev::IovaCache;
using mdev::IovaEntry;
using mdev::IovaTree;

constexpr uint64_t kTop = ~uint64_t{0};

/// By first address; the reference.
using Model = std::map<uint64_t, IovaEntry>;

bool same(const IovaEntry& a, const IovaEntry& b) {
  return a.first == b.first && a.last == b.last && a.offset() == b.offset() && a.file == b.file &&
         a.rights() == b.rights();
}

const IovaEntry* modelFirstFrom(const Model& model, uint64_t address) {
  auto next = model.upper_bound(address);
  if (next != model.begin() && std::prev(next)->second.last >= address) --next;
  return next == model.end() ? nullptr : &next->second;
}

// One for all trees: none may answer for another, even in the same place.
IovaCache cache;

void checkAt(const IovaTree& tree, const Model& model, uint64_t address) {
  const IovaEntry* expected = modelFirstFrom(model, address);
  const IovaEntry* lowest = tree.firstFrom(address);
  CHECK((lowest == nullptr) == (expected == nullptr));
  CHECK(lowest == nullptr || same(*lowest, *expected));
  const IovaEntry* found = tree.find(address);
  const bool inside = expected != nullptr && expected->first <= address;
  CHECK((found != nullptr) == inside);
  CHECK(found == nullptr || same(*found, *expected));
  // The second time it answers from what it kept.
  for (int time = 0; time < 2; ++time) {
    const IovaEntry* kept = cache.find(tree, address);
    CHECK((kept != nullptr) == inside);
    CHECK(kept == nullptr || same(*kept, *expected));
  }
}

void checkAll(const IovaTree& tree, const Model& model) {
  CHECK(tree.size() == model.size());
  CHECK(tree.consistent());
  CHECK(tree.height() <= 2 + std::log(static_cast<double>(model.size()) / 4 + 1) / std::log(8));
  uint64_t address = 0;
  for (const auto& [first, entry] : model) {
    const IovaEntry* next = tree.firstFrom(address);
    CHECK(next != nullptr && same(*next, entry));
    address = entry.last + 1;
  }
  CHECK(address == 0 || tree.firstFrom(address) == nullptr);
}

void insert(IovaTree& tree, Model& model, const IovaEntry& entry) {
  tree.reserve();
  tree.insert(entry);
  model.emplace(entry.first, entry);
}

void erase(IovaTree& tree, Model& model, uint64_t first, uint64_t last) {
  std::vector<uint64_t> expected;
  for (auto entry = model.lower_bound(first); entry != model.end() && entry->first <= last;) {
    expected.push_back(entry->first);
    entry = model.erase(entry);
  }
  std::vector<uint64_t> removed;
  tree.reserve();
  tree.erase(first, last, [&](const IovaEntry& entry) { removed.push_back(entry.first); });
  std::sort(removed.begin(), removed.end());
  CHECK(removed == expected);
}

// Intervals of 1 to 16 units in a space of `units`; phases of growing and shrinking.
void testRandom(uint64_t seed, uint64_t units, uint64_t scale, uint64_t base, int operations) {
  std::mt19937_64 random(seed);
  EpochDomain epochs;
  IovaTree tree(epochs);
  Model model;
  for (int step = 0; step < operations; ++step) {
    const bool growing = (step / 2000) % 2 == 0;
    const uint64_t first = base + random() % units * scale;
    const uint64_t length = (1 + random() % 16) * scale;
    const uint64_t last = length - 1 > kTop - first ? kTop : first + length - 1;
    const IovaEntry* there = modelFirstFrom(model, first);
    if (there == nullptr || there->first > last) {
      if (growing || random() % 4 == 0)
        insert(tree, model, {first, last, random() << 12, nullptr, 1 + static_cast<uint32_t>(random() % 3)});
    } else if (!growing || random() % 4 == 0) {
      // From that entry to a later one, mostly itself.
      auto end = model.find(there->first);
      for (uint64_t more = random() % 8 == 0 ? random() % 40 : 0; more > 0 && std::next(end) != model.end(); --more)
        ++end;
      erase(tree, model, std::min(first, there->first), end->second.last);
    }
    checkAt(tree, model, first);
    checkAt(tree, model, last);
    checkAt(tree, model, last + 1);
    checkAt(tree, model, first - 1);
    checkAt(tree, model, random());
    if (step % 500 == 0) checkAll(tree, model);
  }
  checkAll(tree, model);
  erase(tree, model, 0, kTop);
  checkAll(tree, model);
}

void testEnds() {
  EpochDomain epochs;
  IovaTree tree(epochs);
  Model model;
  checkAt(tree, model, 0);
  checkAt(tree, model, kTop);
  insert(tree, model, {0, 0, 0, nullptr, 1});
  insert(tree, model, {kTop, kTop, 0, nullptr, 2});
  insert(tree, model, {1, kTop - 1, 0, nullptr, 3});
  for (const uint64_t address : {uint64_t{0}, uint64_t{1}, uint64_t{2}, kTop - 1, kTop}) checkAt(tree, model, address);
  checkAll(tree, model);
  erase(tree, model, 1, kTop - 1);
  checkAll(tree, model);
  erase(tree, model, kTop, kTop);
  erase(tree, model, 0, 0);
  checkAll(tree, model);
}

// What a reader found stays as it was until its guard ends, whatever the owner does.
void testOldVersionsStay() {
  EpochDomain::Reader reader;
  EpochDomain epochs;
  IovaTree tree(epochs);
  Model model;
  for (uint64_t index = 0; index < 5000; ++index)
    insert(tree, model, {index << 12, (index << 12) + 4095, index << 20, nullptr, 3});
  std::optional<EpochGuard> guard(std::in_place, reader, epochs);
  std::vector<const IovaEntry*> found;
  std::vector<IovaEntry> copies;
  for (uint64_t index = 0; index < 5000; index += 7) {
    found.push_back(tree.find(index << 12));
    copies.push_back(*found.back());
  }
  erase(tree, model, 0, kTop);
  for (uint64_t index = 0; index < 5000; ++index)
    insert(tree, model, {index << 12, (index << 12) + 4095, ~index << 20, nullptr, 1});
  for (size_t index = 0; index < found.size(); ++index) CHECK(same(*found[index], copies[index]));
  checkAll(tree, model);
  guard.reset();
  erase(tree, model, 0, kTop);
}

// A tree that was large, emptied under a reader's eyes, and used again: nodes that wait are not lost, nor is a live
// one.
void testEmptiedUnderGuard() {
  EpochDomain::Reader reader;
  EpochDomain epochs;
  IovaTree tree(epochs);
  Model model;
  for (int round = 0; round < 4; ++round) {
    for (uint64_t index = 0; index < 5000; ++index) insert(tree, model, {index, index, 0, nullptr, 3});
    const IovaEntry entry = {7, 7, 0, nullptr, 1};
    {
      EpochGuard guard(reader, epochs);
      erase(tree, model, 0, kTop);
      tree.reserve();
    }
    tree.insert(entry);
    model.emplace(entry.first, entry);
    checkAll(tree, model);
    erase(tree, model, 7, 7);
  }
}

// Trees that take each other's place in memory, with the same entries and other contents.
void testCacheBetweenTrees() {
  for (uint64_t round = 0; round < 100; ++round) {
    EpochDomain epochs;
    IovaTree tree(epochs);
    Model model;
    for (uint64_t index = 0; index < 1 + round % 5; ++index) {
      insert(tree, model, {index << 12, (index << 12) + 4095, round << 12, nullptr, 1 + static_cast<uint32_t>(round)});
      for (uint64_t address = 0; address <= index; ++address) checkAt(tree, model, address << 12);
    }
    erase(tree, model, 0, 4095);
    checkAt(tree, model, 0);
  }
}

enum class Order { ascending, descending, inwards, shuffled };

void testMany(Order order) {
  constexpr uint64_t kEntries = 262144;
  std::vector<uint64_t> pages(kEntries);
  for (uint64_t index = 0; index < kEntries; ++index) pages[index] = index;
  if (order == Order::descending) std::reverse(pages.begin(), pages.end());
  if (order == Order::inwards)
    for (uint64_t index = 0; index < kEntries; ++index)
      pages[index] = index % 2 == 0 ? index / 2 : kEntries - 1 - index / 2;
  if (order == Order::shuffled) std::shuffle(pages.begin(), pages.end(), std::mt19937_64(5));
  EpochDomain epochs;
  IovaTree tree(epochs);
  Model model;
  const auto start = std::chrono::steady_clock::now();
  for (const uint64_t page : pages) {
    tree.reserve();
    tree.insert({page << 12, (page << 12) + 4095, 0, nullptr, 3});
  }
  const auto filled = std::chrono::steady_clock::now();
  for (const uint64_t page : pages)
    model.emplace(page << 12, IovaEntry{page << 12, (page << 12) + 4095, 0, nullptr, 3});
  checkAll(tree, model);
  erase(tree, model, 1000 << 12, (200000ull << 12) - 1);
  checkAll(tree, model);
  const auto rest = std::chrono::steady_clock::now();
  for (const auto& [first, entry] : model) {
    tree.reserve();
    tree.erase(first, entry.last, [](const IovaEntry&) {});
  }
  const auto emptied = std::chrono::steady_clock::now();
  CHECK(tree.size() == 0 && tree.height() == 0);
  const std::chrono::duration<double, std::nano> fill = filled - start;
  const std::chrono::duration<double, std::nano> empty = emptied - rest;
  std::printf("insert %.0f ns, erase %.0f ns per entry\n", fill.count() / kEntries,
              empty.count() / static_cast<double>(model.size()));
}

}  // namespace

int main() {
  testEnds();
  testRandom(1, 400, 1, 0, 40000);
  testRandom(2, 20000, 4096, 0, 40000);
  testRandom(3, 3000, 4096, uint64_t{0} - 3000 * 4096, 40000);
  testRandom(4, 60, uint64_t{1} << 58, 0, 10000);
  testOldVersionsStay();
  testEmptiedUnderGuard();
  testCacheBetweenTrees();
  testMany(Order::ascending);
  testMany(Order::descending);
  testMany(Order::inwards);
  testMany(Order::shuffled);
}
