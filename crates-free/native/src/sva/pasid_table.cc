#include "sva/pasid_table.h"

#include <cerrno>
#include <new>
#include <utility>

namespace mdev {

PasidTable::Leaf* PasidTable::leafOf(uint32_t pasid) const {
  return pasid > kMaxPasid ? nullptr : made_[pasid >> kLeafBits].get();
}

void PasidTable::publish(uint32_t pasid, const DmaSpace* space) {
  leafOf(pasid)->found[pasid & (kLeafSize - 1)].store(space, std::memory_order_release);
}

void PasidTable::awaitReaders() {
  generation_.fetch_add(1, std::memory_order_acq_rel);
  epochs_.synchronize();
}

int PasidTable::attach(uint32_t pasid, std::shared_ptr<DmaSpace> space) try {
  if (pasid > kMaxPasid || space == nullptr) return EINVAL;
  Leaf* leaf = leafOf(pasid);
  if (leaf == nullptr) {
    std::unique_ptr<Leaf>& place = made_[pasid >> kLeafBits];
    place = std::make_unique<Leaf>();
    leaf = place.get();
    leaves_[pasid >> kLeafBits].store(leaf, std::memory_order_release);
  }
  std::shared_ptr<DmaSpace>& kept = leaf->kept[pasid & (kLeafSize - 1)];
  if (kept != nullptr) return EEXIST;
  kept = std::move(space);
  ++leaf->size;
  ++size_;
  // An engine may have noted that there is nothing.
  generation_.fetch_add(1, std::memory_order_acq_rel);
  publish(pasid, kept.get());
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

int PasidTable::replace(uint32_t pasid, std::shared_ptr<DmaSpace> space) {
  if (pasid > kMaxPasid || space == nullptr) return EINVAL;
  Leaf* const leaf = leafOf(pasid);
  if (leaf == nullptr || leaf->kept[pasid & (kLeafSize - 1)] == nullptr) return ENOENT;
  publish(pasid, space.get());
  std::swap(leaf->kept[pasid & (kLeafSize - 1)], space);
  awaitReaders();
  return 0;
}

int PasidTable::detach(uint32_t pasid) {
  Leaf* const leaf = leafOf(pasid);
  if (leaf == nullptr || leaf->kept[pasid & (kLeafSize - 1)] == nullptr) return ENOENT;
  publish(pasid, nullptr);
  const std::shared_ptr<DmaSpace> space = std::move(leaf->kept[pasid & (kLeafSize - 1)]);
  --leaf->size;
  --size_;
  awaitReaders();
  return 0;
}

void PasidTable::detachAll() {
  if (size_ == 0) return;
  for (const std::unique_ptr<Leaf>& leaf : made_) {
    if (leaf == nullptr || leaf->size == 0) continue;
    for (auto& found : leaf->found) found.store(nullptr, std::memory_order_release);
  }
  // All of them at once, so that it is waited for once; the spaces stay until then.
  awaitReaders();
  for (const std::unique_ptr<Leaf>& leaf : made_) {
    if (leaf == nullptr || leaf->size == 0) continue;
    for (auto& kept : leaf->kept) kept = nullptr;
    leaf->size = 0;
  }
  size_ = 0;
}

void PasidTable::setReachable(bool reachable) {
  if (reachable_.exchange(reachable, std::memory_order_acq_rel) == reachable || reachable) return;
  awaitReaders();
}

void PasidTable::invalidate() { awaitReaders(); }

std::shared_ptr<DmaSpace> PasidTable::attached(uint32_t pasid) const {
  const Leaf* const leaf = leafOf(pasid);
  return leaf == nullptr ? nullptr : leaf->kept[pasid & (kLeafSize - 1)];
}

const DmaSpace* PasidTable::find(uint32_t pasid) const {
  if (pasid > kMaxPasid || !reachable_.load(std::memory_order_acquire)) return nullptr;
  const Leaf* const leaf = leaves_[pasid >> kLeafBits].load(std::memory_order_acquire);
  return leaf == nullptr ? nullptr : leaf->found[pasid & (kLeafSize - 1)].load(std::memory_order_acquire);
}

}  // namespace mdev
