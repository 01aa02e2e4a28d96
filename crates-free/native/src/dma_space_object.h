// What JavaScript says to a DmaSpace and hears from it.
#pragma once

#include <napi.h>

#include <vector>

#include "memory/dma_space.h"

namespace mdev {

/// The values of a BigUint64Array of an even length. Throws a TypeError or RangeError that names the argument.
std::vector<uint64_t> evenWordsArgument(Napi::Env env, Napi::Value value, const char* name);

/// Pairs of a BigUint64Array: DirtyRange or IovaRange.
template <typename Pair>
std::vector<Pair> pairsArgument(Napi::Env env, Napi::Value value, const char* name) {
  const std::vector<uint64_t> words = evenWordsArgument(env, value, name);
  std::vector<Pair> pairs;
  for (std::size_t index = 0; index < words.size(); index += 2) pairs.push_back({words[index], words[index + 1]});
  return pairs;
}

/// A page size and a Uint8Array, which must not change until the query is answered.
DirtyQuery dirtyQueryArgument(Napi::Env env, Napi::Value pageSize, Napi::Value bitmap);

Napi::Value dmaInfoObject(Napi::Env env, const DmaSpace& space);
Napi::Value dmaMapsArray(Napi::Env env, const DmaSpace& space);

}  // namespace mdev
