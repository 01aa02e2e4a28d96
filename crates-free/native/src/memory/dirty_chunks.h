// The memory of a DirtyLog's bits.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>

namespace mdev {

/// Chunks of bits. They come in slabs that the kernel fills with zeros when they are touched: a guest of a terabyte
/// costs nothing until its memory is written.
class DirtyChunks {
 public:
  /// Words of a chunk.
  static constexpr std::size_t kWords = 512;
  static constexpr uint64_t kBytes = kWords * sizeof(uint64_t);

  /// A chunk of zeros, valid until it is given back. `wanted`: how many are about to be taken, this one included. Null:
  /// it would take more than `limit` bytes in all. May throw std::bad_alloc.
  uint64_t* take(uint64_t wanted, uint64_t limit);
  /// Gives back a chunk, which is zeros again.
  void give(uint64_t* chunk);
  /// Memory of all slabs, bytes. What was never marked takes address space only.
  uint64_t bytes() const { return bytes_; }

 private:
  /// Most chunks of a slab.
  static constexpr std::size_t kMaxChunks = 512;

  struct Free {
    void operator()(uint64_t* words) const { std::free(words); }
  };
  struct Slab {
    std::unique_ptr<uint64_t[], Free> words;
    std::size_t chunks = 0;
    std::size_t used = 0;
    std::bitset<kMaxChunks> taken;
  };

  uint64_t* takeFrom(Slab& slab);

  /// By the address of their words.
  std::map<uint64_t*, Slab> slabs_;
  /// Chunks of slabs that are in no use.
  std::size_t spare_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace mdev
