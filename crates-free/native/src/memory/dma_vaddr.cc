// Maps whose memory is exchanged while they stay: the VADDR flags of VFIO_IOMMU_UNMAP_DMA and VFIO_IOMMU_MAP_DMA.
#include <cerrno>
#include <new>

#include "memory/dma_space_state.h"
#include "memory/file_kind.h"

namespace mdev {

int DmaSpace::invalidateVaddr(uint64_t iova, uint64_t size) try {
  if (const int error = checkUnmap(iova, size); error != 0) return error;
  IovaTree& tree = state_->tree;
  const uint64_t last = iova + (size - 1);
  std::size_t count = 0;
  for (const IovaEntry* entry = tree.firstFrom(iova); entry != nullptr && entry->first <= last;) {
    if (entry->file == nullptr) return EINVAL;
    ++count;
    entry = entry->last == ~uint64_t{0} ? nullptr : tree.firstFrom(entry->last + 1);
  }
  tree.reserveReplacing(count);
  tree.replace(iova, last, [](const IovaEntry& entry) {
    FileRegistry::release(*entry.file);
    return entry.withoutMemory();
  });
  awaitReaders();
  tree.reclaim();
  state_->files.sweep();
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

int DmaSpace::restoreVaddr(uint64_t iova, uint64_t size, ForeignFd fd, uint64_t offset) try {
  const IovaEntry* const there = state_->tree.find(iova);
  if (there == nullptr) return ENOENT;
  if (there->valid() || there->first != iova || size == 0 || there->last != iova + (size - 1)) return EINVAL;
  if (!fd || offset % kOffsetAlignment != 0) return EINVAL;
  FileFacts facts{};
  if (const int error = inspectFile(fd.get(), facts); error != 0) return error;
  const uint32_t rights = there->mapRights();
  if ((rights & kDmaWrite) != 0 && !facts.identity.writable) return EACCES;
  if (offset > facts.size || size > facts.size - offset) return EINVAL;

  state_->tree.reserveReplacing(1);
  MemoryFile* file = nullptr;
  const int error = state_->files.acquire(fd.known(), facts, {offset, offset + size}, file);
  if (error != 0) return error;
  state_->tree.replace(iova, iova + (size - 1), [&](const IovaEntry& entry) {
    return IovaEntry(entry.first, entry.last, offset, file, rights);
  });
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

}  // namespace mdev
