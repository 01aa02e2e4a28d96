#include "memory/dma_space.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

#include "memory/file_kind.h"
#include "memory/file_registry.h"
#include "memory/iova_tree.h"
#include "memory/memory_file.h"

namespace mdev {

namespace {

/// Granularity of a map, bytes; the page size that the protocol advertises.
constexpr uint64_t kMapAlignment = 4096;
constexpr uint64_t kDefaultMaxMappings = 65535;
constexpr uint64_t kLastAddress = ~uint64_t{0};

/// Keeps the reads of a copy before the check that follows it. ThreadSanitizer knows no fences, and needs none here:
/// what the fence orders against is not C++ but a page that the kernel exchanged.
void fenceReads() {
#if defined(__SANITIZE_THREAD__)
  std::atomic_signal_fence(std::memory_order_acq_rel);
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
}

}  // namespace

struct DmaSpace::State {
  IovaTree tree;
  FileRegistry files;
  uint64_t maxMappings = kDefaultMaxMappings;
  bool busMaster = false;
  bool enforceBusMaster = true;
  /// What the two say together; the readers' copy.
  std::atomic<bool> reachable{false};
  mutable std::mutex channelMutex;
  std::shared_ptr<MessageDma> channel;

  std::shared_ptr<MessageDma> currentChannel() const {
    const std::lock_guard lock(channelMutex);
    return channel;
  }

  /// Removes the maps in [first, last] and everything that came from them. Returns when no reader is left.
  void remove(uint64_t first, uint64_t last) {
    tree.erase(first, last, [](const IovaEntry& entry) {
      if (entry.file != nullptr) FileRegistry::release(*entry.file);
    });
    EpochDomain::instance().synchronize();
    tree.reclaim();
    files.sweep();
  }

  void updateReachable() {
    const bool now = busMaster || !enforceBusMaster;
    if (reachable.exchange(now, std::memory_order_release) == now || now) return;
    EpochDomain::instance().synchronize();
    if (const auto current = currentChannel()) current->cancelAll();
  }

  /// `length` bytes from `start`, all inside `entry`.
  Translation piece(const IovaEntry& entry, uint64_t start, uint64_t length) const {
    if (entry.file == nullptr) return {.kind = Translation::Kind::message, .length = length};
    if (entry.file->broken()) return {};
    return {.kind = Translation::Kind::mapped,
            .pointer = entry.file->at(entry.offset + (start - entry.first)),
            .length = length,
            .file = entry.file};
  }

  const IovaEntry* reach(uint64_t address, uint32_t rights) const {
    if (!reachable.load(std::memory_order_acquire)) return nullptr;
    const IovaEntry* entry = tree.find(address);
    return entry != nullptr && (rights & ~entry->rights) == 0 ? entry : nullptr;
  }
};

DmaSpace::DmaSpace() : state_(std::make_unique<State>()) {}

DmaSpace::~DmaSpace() {
  EpochDomain::instance().retire([state = std::shared_ptr<State>(std::move(state_))] {});
}

int DmaSpace::map(uint64_t iova, uint64_t size, uint32_t rights, ForeignFd fd, uint64_t offset) try {
  if (size == 0 || ((iova | size | offset) & (kMapAlignment - 1)) != 0) return EINVAL;
  if (rights == 0 || (rights & ~(kDmaRead | kDmaWrite)) != 0) return EINVAL;
  const uint64_t last = iova + (size - 1);
  if (last < iova) return EINVAL;

  FileFacts facts{};
  MemoryFile* known = nullptr;
  if (fd) {
    if (const int error = inspectFile(fd.get(), facts); error != 0) return error;
    if ((rights & kDmaWrite) != 0 && !facts.identity.writable) return EACCES;
    if (offset > facts.size || size > facts.size - offset) return EINVAL;
    known = state_->files.find(facts.identity);
  } else if (offset != 0) {
    return EINVAL;
  }

  if (const IovaEntry* there = state_->tree.firstFrom(iova); there != nullptr && there->first <= last) {
    const bool sameMemory =
        fd ? known != nullptr && there->file == known && there->offset == offset : there->file == nullptr;
    const bool identical = there->first == iova && there->last == last && there->rights == rights && sameMemory;
    return identical ? 0 : EEXIST;
  }
  if (state_->tree.size() >= state_->maxMappings) return ENOSPC;

  // What can fail comes first; the insertion cannot.
  state_->tree.reserve();
  MemoryFile* file = nullptr;
  if (fd) {
    const int error = state_->files.acquire(fd.known(), facts, {offset, offset + size}, file);
    if (error != 0) return error;
  }
  state_->tree.insert({.first = iova, .last = last, .offset = offset, .file = file, .rights = rights});
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

int DmaSpace::unmap(uint64_t iova, uint64_t size) try {
  const uint64_t last = iova + (size - 1);
  if (size == 0 || last < iova) return EINVAL;
  const IovaEntry* lowest = state_->tree.firstFrom(iova);
  if (lowest == nullptr || lowest->first > last) return ENOENT;
  if (lowest->first < iova) return EINVAL;
  const IovaEntry* highest = state_->tree.find(last);
  if (highest != nullptr && highest->last > last) return EINVAL;

  state_->tree.reserve();
  state_->remove(iova, last);
  if (const auto channel = state_->currentChannel()) channel->cancel(iova, size);
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

void DmaSpace::unmapAll() {
  if (state_->tree.size() == 0) return;
  state_->remove(0, kLastAddress);
  if (const auto channel = state_->currentChannel()) channel->cancelAll();
}

void DmaSpace::setBusMaster(bool enabled) {
  state_->busMaster = enabled;
  state_->updateReachable();
}

void DmaSpace::setEnforceBusMaster(bool enforced) {
  state_->enforceBusMaster = enforced;
  state_->updateReachable();
}

void DmaSpace::setMessageDma(std::shared_ptr<MessageDma> channel) {
  {
    const std::lock_guard lock(state_->channelMutex);
    if (state_->channel == channel) return;
    std::swap(state_->channel, channel);
  }
  if (channel != nullptr) channel->cancelAll();
}

uint64_t DmaSpace::mappings() const { return state_->tree.size(); }

void DmaSpace::setMaxMappings(uint64_t limit) { state_->maxMappings = limit; }

Translation DmaSpace::translate(uint64_t iova, uint64_t length, uint32_t rights) const {
  if (length == 0) return {};
  const IovaEntry* entry = state_->reach(iova, rights);
  if (entry == nullptr) return {};
  return state_->piece(*entry, iova, std::min(length - 1, entry->last - iova) + 1);
}

Translation DmaSpace::translateBackward(uint64_t end, uint64_t length, uint32_t rights) const {
  if (length == 0) return {};
  const uint64_t lastByte = end - 1;
  const IovaEntry* entry = state_->reach(lastByte, rights);
  if (entry == nullptr) return {};
  const uint64_t usable = std::min(length - 1, lastByte - entry->first) + 1;
  return state_->piece(*entry, lastByte - (usable - 1), usable);
}

// The place to note what was written, once somebody asks for that.
bool DmaSpace::finish(const Translation& piece, const std::byte* /*from*/, uint64_t /*length*/, bool /*wrote*/) const {
  return intact(piece);
}

bool DmaSpace::intact(const Translation& piece) {
  if (piece.file == nullptr) return true;
  fenceReads();
  return !piece.file->broken();
}

std::shared_ptr<MessageDma> DmaSpace::messageDma() const { return state_->currentChannel(); }

}  // namespace mdev
