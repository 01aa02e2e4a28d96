#include "dma_space_object.h"

#include <napi.h>

#include <optional>
#include <string>

#include "arguments_object.h"

namespace mdev {

std::vector<uint64_t> evenWordsArgument(napi_env env, napi_value argument, const char* name) {
  const Napi::Value value(env, argument);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_biguint64_array) {
    throw Napi::TypeError::New(env, std::string(name) + " is not a BigUint64Array");
  }
  const auto words = value.As<Napi::BigUint64Array>();
  if (words.ElementLength() % 2 != 0) {
    throw Napi::RangeError::New(
        env, std::string(name) + " has " + std::to_string(words.ElementLength()) + " values; expected pairs");
  }
  return {words.Data(), words.Data() + words.ElementLength()};
}

DirtyQuery dirtyQueryArgument(napi_env env, napi_value pageSize, napi_value bitmap) {
  const uint64_t size = bigintArgument(env, pageSize, "pageSize");
  return {.pageSize = size, .bitmap = bytesArgument(env, bitmap, "bitmap")};
}

napi_value dmaInfoObject(napi_env env, const DmaSpace& space) {
  const DmaInfo info = space.info();
  auto windows = Napi::Array::New(env);
  for (const IovaRange& range : info.windows) {
    auto window = Napi::Object::New(env);
    window.Set("first", Napi::BigInt::New(env, range.first));
    window.Set("last", Napi::BigInt::New(env, range.last));
    windows.Set(windows.Length(), window);
  }
  auto result = Napi::Object::New(env);
  result.Set("pageSizes", Napi::BigInt::New(env, info.pageSizes));
  result.Set("windows", windows);
  result.Set("mappingsAvailable", Napi::BigInt::New(env, info.mappingsAvailable));
  result.Set("maxDirtyLogBytes", Napi::BigInt::New(env, info.maxDirtyLogBytes));
  return result;
}

napi_value dmaMapsArray(napi_env env, const DmaSpace& space) {
  // A scope of its own for every so many: there may be hundreds of thousands of maps.
  constexpr uint32_t kBatch = 256;
  auto maps = Napi::Array::New(env);
  uint32_t count = 0;
  std::optional<Napi::HandleScope> scope;
  space.forEachMap([&](const DmaMap& map) {
    if (count % kBatch == 0) {
      scope.reset();
      scope.emplace(Napi::Env(env));
    }
    auto entry = Napi::Object::New(env);
    entry.Set("iova", Napi::BigInt::New(env, map.first));
    entry.Set("size", Napi::BigInt::New(env, map.last - map.first + 1));
    entry.Set("rights", map.rights);
    entry.Set("fd", map.fd);
    entry.Set("offset", Napi::BigInt::New(env, map.offset));
    entry.Set("valid", map.valid);
    maps.Set(count++, entry);
    return true;
  });
  return maps;
}

}  // namespace mdev
