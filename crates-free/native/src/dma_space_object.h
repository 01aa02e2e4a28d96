// What JavaScript says to a DmaSpace and hears from it.
#pragma once

#include <vector>

#include "memory/dma_space.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

/// The values of a BigUint64Array of an even length. Throws a TypeError or RangeError that names the argument.
std::vector<uint64_t> evenWordsArgument(napi_env env, napi_value value, const char* name);

/// Pairs of a BigUint64Array: DirtyRange or IovaRange.
template <typename Pair>
std::vector<Pair> pairsArgument(napi_env env, napi_value value, const char* name) {
  const std::vector<uint64_t> words = evenWordsArgument(env, value, name);
  std::vector<Pair> pairs;
  for (std::size_t index = 0; index < words.size(); index += 2) pairs.push_back({words[index], words[index + 1]});
  return pairs;
}

/// A page size and a Uint8Array, which must not change until the query is answered.
DirtyQuery dirtyQueryArgument(napi_env env, napi_value pageSize, napi_value bitmap);

napi_value dmaInfoObject(napi_env env, const DmaSpace& space);
napi_value dmaMapsArray(napi_env env, const DmaSpace& space);

}  // namespace mdev
