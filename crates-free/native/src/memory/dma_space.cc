// The owner's side of DmaSpace.
#include "memory/dma_space.h"

#include <cerrno>
#include <new>
#include <utility>

#include "memory/dma_space_state.h"
#include "memory/file_kind.h"

namespace mdev {

namespace {

constexpr uint64_t kLastAddress = ~uint64_t{0};

/// Takes everything in [first, last] out of the space. Returns when no reader is left, with the bytes that were mapped.
uint64_t removeMaps(EpochDomain& epochs, IovaTree& tree, FileRegistry& files, uint64_t first, uint64_t last) {
  uint64_t bytes = 0;
  tree.erase(first, last, [&](const IovaEntry& entry) {
    bytes += entry.last - entry.first + 1;
    if (entry.file != nullptr) FileRegistry::release(*entry.file);
  });
  epochs.synchronize();
  tree.reclaim();
  files.sweep();
  return bytes;
}

/// Whether something is mapped in [first, last].
DirtyLog::Keep mappedIn(const IovaTree& tree) {
  return [&tree](uint64_t first, uint64_t last) {
    const IovaEntry* const there = tree.firstFrom(first);
    return there != nullptr && there->first <= last;
  };
}

}  // namespace

DmaSpace::DmaSpace() : state_(std::make_shared<State>()), epochs_(&state_->epochs), retirement_([state = state_] {}) {}

DmaSpace::~DmaSpace() {
  // The retirement holds the state, and the domain with it.
  state_.reset();
  epochs_->retire(std::move(retirement_));
}

int DmaSpace::map(uint64_t iova, uint64_t size, uint32_t rights, ForeignFd fd, uint64_t offset) try {
  const AgreedLimits& limits = state_->limits;
  if (size == 0 || ((iova | size) & (limits.pageSize() - 1)) != 0 || offset % kOffsetAlignment != 0) return EINVAL;
  if (rights == 0 || (rights & ~(kDmaRead | kDmaWrite)) != 0) return EINVAL;
  const uint64_t last = iova + (size - 1);
  if (last < iova || !inWindow(limits.operatorsOwn(), iova, last)) return EINVAL;

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
        fd ? known != nullptr && there->file == known && there->offset() == offset : there->file == nullptr;
    const bool identical = there->first == iova && there->last == last && there->rights() == rights && sameMemory;
    return identical ? 0 : EEXIST;
  }
  if (size > kMaxMapBytes || state_->tree.size() >= limits.maxMappings()) return ENOSPC;

  // What can fail comes first; the insertion cannot.
  state_->tree.reserve();
  MemoryFile* file = nullptr;
  int error = state_->tracker->mapping(iova, last, limits.maxDirtyLogBytes());
  if (error == 0 && fd) error = state_->files.acquire(fd.known(), facts, {offset, offset + size}, file);
  if (error != 0) {
    state_->tracker->unmapped(iova, last, mappedIn(state_->tree));
    return error;
  }
  state_->tree.insert({iova, last, offset, file, rights});
  state_->updateAsks();
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

int DmaSpace::checkUnmap(uint64_t iova, uint64_t size) const {
  const uint64_t last = iova + (size - 1);
  if (size == 0 || last < iova) return EINVAL;
  const IovaEntry* lowest = state_->tree.firstFrom(iova);
  if (lowest == nullptr || lowest->first > last) return ENOENT;
  if (lowest->first < iova) return EINVAL;
  const IovaEntry* highest = state_->tree.find(last);
  return highest != nullptr && highest->last > last ? EINVAL : 0;
}

int DmaSpace::unmap(uint64_t iova, uint64_t size, const DirtyQuery* query, uint64_t* unmapped) try {
  if (const int error = checkUnmap(iova, size); error != 0) return error;
  DirtyTracker& tracker = *state_->tracker;
  const uint64_t last = iova + (size - 1);
  if (query != nullptr) {
    if (tracker.check(iova, size, query->pageSize) != 0 || !tracker.tracks(iova, last) ||
        query->bitmap.size() != dirtyBitmapBytes(size, query->pageSize)) {
      return EINVAL;
    }
  }
  state_->tree.reserve();
  // A channel's callback may do anything, also end this space's device.
  const std::shared_ptr<State> state = state_;
  const uint64_t bytes = removeMaps(state->epochs, state->tree, state->files, iova, last);
  state->updateAsks();
  if (unmapped != nullptr) *unmapped = bytes;
  if (const auto channel = state->currentChannel()) channel->cancel(iova, size);
  // No reader is left that could still mark, and what may arrive by message is marked.
  if (query != nullptr && tracker.running()) tracker.report(iova, size, query->pageSize, query->bitmap);
  tracker.unmapped(iova, last, mappedIn(state->tree));
  return 0;
} catch (const std::bad_alloc&) {
  return ENOMEM;
}

uint64_t DmaSpace::unmapAll() {
  if (state_->tree.size() == 0) {
    // A client that has mapped nothing may be asked all the same.
    const auto channel = state_->asks.load() ? state_->currentChannel() : nullptr;
    if (channel == nullptr) return 0;
    awaitReaders();
    channel->cancelAll();
    return 0;
  }
  const std::shared_ptr<State> state = state_;
  const uint64_t bytes = removeMaps(state->epochs, state->tree, state->files, 0, kLastAddress);
  state->updateAsks();
  if (const auto channel = state->currentChannel()) channel->cancelAll();
  state->tracker->unmapped(0, kLastAddress, mappedIn(state->tree));
  return bytes;
}

void DmaSpace::forEachMap(const std::function<bool(const DmaMap&)>& visit) const {
  state_->tree.forEach([&](const IovaEntry& entry) {
    return visit({.first = entry.first,
                  .last = entry.last,
                  .rights = entry.mapRights(),
                  .fd = entry.file == nullptr ? -1 : entry.file->fd(),
                  .offset = entry.offset(),
                  .valid = entry.valid()});
  });
}

void DmaSpace::updateReachable() {
  const bool now = state_->busMaster || !state_->enforceBusMaster;
  if (state_->reachable.exchange(now, std::memory_order_release) == now || now) return;
  awaitReaders();
  if (const auto current = state_->currentChannel()) current->cancelAll();
}

void DmaSpace::awaitReaders() { state_->epochs.synchronize(); }

std::shared_ptr<EpochDomain> DmaSpace::readers() const { return {state_, &state_->epochs}; }

void DmaSpace::setBusMaster(bool enabled) {
  state_->busMaster = enabled;
  updateReachable();
}

void DmaSpace::setEnforceBusMaster(bool enforced) {
  state_->enforceBusMaster = enforced;
  updateReachable();
}

void DmaSpace::setAskUnmapped(bool ask) {
  state_->askUnmapped = ask;
  state_->updateAsks();
}

void DmaSpace::setMessageDma(std::shared_ptr<MessageDma> channel) {
  if (channel != nullptr) channel->setDirtyTracker(state_->tracker);
  {
    const std::lock_guard lock(state_->channelMutex);
    if (state_->channel == channel) return;
    std::swap(state_->channel, channel);
  }
  state_->updateAsks();
  if (channel != nullptr) channel->cancelAll();
}

std::shared_ptr<MessageDma> DmaSpace::takeMessageDma() {
  std::shared_ptr<MessageDma> channel;
  {
    const std::lock_guard lock(state_->channelMutex);
    channel.swap(state_->channel);
  }
  state_->updateAsks();
  return channel;
}

uint64_t DmaSpace::mappings() const { return state_->tree.size(); }

int DmaSpace::setLimits(DmaLimits limits) {
  if (!wellFormed(limits)) return EINVAL;
  bool fitting = state_->tree.size() <= limits.maxMappings;
  state_->tree.forEach(
      [&](const IovaEntry& entry) { return fitting = fitting && fits(limits, entry.first, entry.last); });
  if (!fitting) return EBUSY;
  state_->limits.setOperatorsOwn(std::move(limits));
  return 0;
}

void DmaSpace::setClientLimits(uint64_t maxMappings, uint64_t pageSizes) {
  state_->limits.setClients(maxMappings, pageSizes);
}

void DmaSpace::resetClient() {
  state_->limits.resetClients();
  stopDirtyLog();
}

DmaInfo DmaSpace::info() const { return state_->limits.info(mappings()); }

}  // namespace mdev
