#include "memory/dirty_chunks.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

namespace mdev {

uint64_t* DirtyChunks::take(uint64_t wanted, uint64_t limit) {
  if (spare_ != 0) {
    for (auto& [words, slab] : slabs_)
      if (slab.used < slab.chunks) return takeFrom(slab);
  }
  const auto chunks = static_cast<std::size_t>(std::min<uint64_t>(wanted, kMaxChunks));
  const uint64_t bytes = chunks * kBytes;
  if (bytes > limit || bytes_ > limit - bytes) return nullptr;
  Slab slab{.words = {}, .chunks = chunks, .used = 0, .taken = {}};
  slab.words.reset(static_cast<uint64_t*>(std::calloc(chunks, kBytes)));
  if (slab.words == nullptr) throw std::bad_alloc();
  uint64_t* const begin = slab.words.get();
  Slab& added = slabs_.emplace(begin, std::move(slab)).first->second;
  bytes_ += bytes;
  spare_ += chunks;
  return takeFrom(added);
}

uint64_t* DirtyChunks::takeFrom(Slab& slab) {
  std::size_t chunk = 0;
  while (slab.taken.test(chunk)) ++chunk;
  slab.taken.set(chunk);
  ++slab.used;
  --spare_;
  return slab.words.get() + chunk * kWords;
}

void DirtyChunks::give(uint64_t* chunk) {
  const auto place = std::prev(slabs_.upper_bound(chunk));
  Slab& slab = place->second;
  slab.taken.reset(static_cast<std::size_t>(chunk - slab.words.get()) / kWords);
  --slab.used;
  ++spare_;
  if (slab.used != 0) return;
  spare_ -= slab.chunks;
  bytes_ -= slab.chunks * kBytes;
  slabs_.erase(place);
}

}  // namespace mdev
