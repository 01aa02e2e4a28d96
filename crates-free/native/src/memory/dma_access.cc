// The readers' side of DmaSpace: translation, and the end of each use.
#include <algorithm>
#include <atomic>

#include "memory/dma_space_state.h"

namespace mdev {

namespace {

/// Keeps the reads of a copy before the check that follows it. ThreadSanitizer knows no fences, and needs none here:
/// what the fence orders against is not C++ but a page that the kernel exchanged.
void fenceReads() {
#if defined(__SANITIZE_THREAD__)
  std::atomic_signal_fence(std::memory_order_acq_rel);
#else
  std::atomic_thread_fence(std::memory_order_acquire);
#endif
}

/// What a client that is asked for everything seems to have mapped.
const IovaEntry kEverything{0, ~uint64_t{0}, 0, nullptr, kDmaRead | kDmaWrite};

/// `length` bytes from `start`, all inside `entry`.
Translation pieceOf(const IovaEntry& entry, uint64_t start, uint64_t length) {
  if (entry.file == nullptr) return {.kind = Translation::Kind::message, .iova = start, .length = length};
  if (entry.file->broken()) return {};
  return {.kind = Translation::Kind::mapped,
          .iova = start,
          .pointer = entry.file->at(entry.offset() + (start - entry.first)),
          .length = length,
          .file = entry.file};
}

}  // namespace

const IovaEntry* DmaSpace::reach(uint64_t address, uint32_t rights, IovaCache* cache) const {
  if (!state_->reachable.load(std::memory_order_acquire)) return nullptr;
  const IovaEntry* entry = cache != nullptr ? cache->find(state_->tree, address) : state_->tree.find(address);
  if (entry == nullptr && state_->asks.load(std::memory_order_acquire)) return &kEverything;
  return entry != nullptr && (rights & ~entry->rights()) == 0 ? entry : nullptr;
}

Translation DmaSpace::translate(uint64_t iova, uint64_t length, uint32_t rights, IovaCache* cache) const {
  if (length == 0) return {};
  const IovaEntry* entry = reach(iova, rights, cache);
  if (entry == nullptr) return {};
  return pieceOf(*entry, iova, std::min(length - 1, entry->last - iova) + 1);
}

Translation DmaSpace::translateBackward(uint64_t end, uint64_t length, uint32_t rights, IovaCache* cache) const {
  if (length == 0) return {};
  const uint64_t lastByte = end - 1;
  const IovaEntry* entry = reach(lastByte, rights, cache);
  if (entry == nullptr) return {};
  const uint64_t usable = std::min(length - 1, lastByte - entry->first) + 1;
  return pieceOf(*entry, lastByte - (usable - 1), usable);
}

bool DmaSpace::finish(const Translation& piece, const std::byte* from, uint64_t length, bool wrote) const {
  // Of a file that broke too: a part of the write may have reached it.
  if (wrote && piece.pointer != nullptr) {
    state_->tracker->wrote(piece.iova + static_cast<uint64_t>(from - piece.pointer), length);
  }
  return intact(piece);
}

bool DmaSpace::intact(const Translation& piece) {
  if (piece.file == nullptr) return true;
  fenceReads();
  return !piece.file->broken();
}

std::shared_ptr<MessageDma> DmaSpace::messageDma() const { return state_->currentChannel(); }

}  // namespace mdev
