#include "core/guest_copy.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

namespace mdev {

namespace {

/// Most bytes under one guard: an unmap waits for it.
constexpr uint64_t kChunk = 64 * 1024;

/// Calls `copy(pointer, done, length)` for each mapped piece, each under its own guard.
template <typename Copy>
int forEachPiece(const DmaSpace& space, EpochDomain::Reader& reader, uint64_t iova, uint64_t size, uint32_t right,
                 Copy copy) {
  if (size != 0 && size - 1 > std::numeric_limits<uint64_t>::max() - iova) return EFAULT;
  for (uint64_t done = 0; done < size;) {
    const EpochGuard guard(reader, space.epochs());
    const Translation piece = space.translate(iova + done, std::min(kChunk, size - done), right);
    if (piece.kind == Translation::Kind::message) return kNeedsMessage;
    if (piece.kind != Translation::Kind::mapped) return EFAULT;
    copy(piece.pointer, done, piece.length);
    if (!space.finish(piece, piece.pointer, piece.length, right == kDmaWrite)) return EFAULT;
    done += piece.length;
  }
  return 0;
}

}  // namespace

int copyFromGuest(const DmaSpace& space, EpochDomain::Reader& reader, uint64_t iova, std::span<std::byte> into) {
  return forEachPiece(space, reader, iova, into.size(), kDmaRead, [&](std::byte* guest, uint64_t at, uint64_t length) {
    std::memcpy(into.data() + at, guest, length);
  });
}

int copyToGuest(const DmaSpace& space, EpochDomain::Reader& reader, uint64_t iova, std::span<const std::byte> from) {
  return forEachPiece(space, reader, iova, from.size(), kDmaWrite, [&](std::byte* guest, uint64_t at, uint64_t length) {
    std::memcpy(guest, from.data() + at, length);
  });
}

}  // namespace mdev
