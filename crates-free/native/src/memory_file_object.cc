// `MemoryFile` in JavaScript: memory in a file descriptor, as a VMM gives guest memory to a device.
#include <fcntl.h>
#include <napi.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "arguments_object.h"
#include "base/file_descriptor.h"
#include "base/mapping.h"
#include "memory/sealed_mapping.h"
#include "napi_objects.h"

namespace mdev {

namespace {

/// The largest ArrayBuffer that every supported Node.js can make.
constexpr uint64_t kSizeMax = uint64_t{4} << 30;

class MemoryFileObject : public Napi::ObjectWrap<MemoryFileObject> {
 public:
  explicit MemoryFileObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MemoryFileObject>(info) {
    const Napi::Env env = info.Env();
    const uint64_t size = offsetArgument(env, info[0], "size");
    if (size == 0 || size > kSizeMax) {
      throw Napi::RangeError::New(
          env, "size is " + std::to_string(size) + "; expected 1 to " + std::to_string(kSizeMax) + " bytes");
    }
    const bool seal = boolArgument(env, info[1], "seal");
    fd_.reset(::memfd_create("mdev-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd_) throwSystemError(env, errno, "memfd_create");
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) throwSystemError(env, errno, "ftruncate");
    if (seal && ::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
      throwSystemError(env, errno, "fcntl");
    }
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (address == MAP_FAILED) throwSystemError(env, errno, "mmap");
    auto mapping = std::make_shared<Mapping>(address, size);

    auto self = info.This().As<Napi::Object>();
    define(self, "size", Napi::Number::New(env, static_cast<double>(size)));
    define(self, "buffer",
           Napi::Value(env, externalArrayBuffer(env, static_cast<std::byte*>(address), size, std::move(mapping))));
    define(self, "fd", Napi::Number::New(env, fd_.get()));
  }

  static Napi::Function defineClass(Napi::Env env) {
    return DefineClass(env, "MemoryFile", {InstanceMethod<&MemoryFileObject::close>("close")});
  }

 private:
  // The memory lives as long as its ArrayBuffer; only the descriptor is closed.
  void close(const Napi::CallbackInfo& info) {
    if (!fd_) return;
    fd_.reset();
    define(info.This().As<Napi::Object>(), "fd", Napi::Number::New(info.Env(), -1));
  }

  static void define(Napi::Object object, const char* name, Napi::Value value) {
    object.DefineProperty(Napi::PropertyDescriptor::Value(
        name, value, static_cast<napi_property_attributes>(napi_enumerable | napi_configurable)));
  }

  FileDescriptor fd_;
};

/// mapSealedFile(fd, offset, size, writable): ArrayBuffer. The mapping ends when the last view is collected.
Napi::Value mapSealedFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const FileDescriptor fd = descriptorArgument(env, info[0], "fd");
  const uint64_t offset = offsetArgument(env, info[1], "offset");
  const uint64_t size = offsetArgument(env, info[2], "size");
  const bool writable = boolArgument(env, info[3], "writable");
  if (size > kSizeMax) {
    throw Napi::RangeError::New(
        env, "size is " + std::to_string(size) + "; expected at most " + std::to_string(kSizeMax) + " bytes");
  }
  try {
    std::shared_ptr<Mapping> mapping = mapSealed(fd.get(), offset, size, writable);
    std::byte* const data = mapping->data();
    return Napi::Value(env, externalArrayBuffer(env, data, size, std::move(mapping)));
  } catch (const MappingRefused& refused) {
    throwSystemError(env, refused.error, refused.reason);
  }
}

}  // namespace

void registerMemoryFile(Napi::Env env, Napi::Object exports) {
  exports.Set("mapSealedFile", Napi::Function::New<&mapSealedFile>(env, "mapSealedFile"));
  exports.Set("MemoryFile", MemoryFileObject::defineClass(env));
}

}  // namespace mdev
