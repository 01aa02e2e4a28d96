// Arguments from JavaScript, checked. For the methods of *_object.cc files: what is wrong is thrown as a Napi::Error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/file_descriptor.h"

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;

namespace mdev {

/// `name` is how the messages call the argument. An argument of another type throws a TypeError, one out of range a
/// RangeError; both say what was expected.
///@{
uint32_t uint32Argument(napi_env env, napi_value value, const char* name, uint32_t most = UINT32_MAX);
/// A Number that is an integer from 0 to 2^53 - 1.
uint64_t offsetArgument(napi_env env, napi_value value, const char* name);
/// A BigInt from 0 to 2^64 - 1.
uint64_t bigintArgument(napi_env env, napi_value value, const char* name);
bool boolArgument(napi_env env, napi_value value, const char* name);
/// The bytes of a Uint8Array (a Buffer is one). Valid until JavaScript runs: it may detach, resize or free them.
std::span<std::byte> bytesArgument(napi_env env, napi_value value, const char* name);
/// A duplicate of a file descriptor. -1 gives an empty one. A number that is no open descriptor throws an Error with
/// `code` EBADF.
FileDescriptor descriptorArgument(napi_env env, napi_value value, const char* name);
/// Duplicates of at most `most` file descriptors, an array of numbers.
std::vector<FileDescriptor> descriptorsArgument(napi_env env, napi_value value, const char* name, std::size_t most);
///@}

/// Throws an Error with `code`, `errno` and `syscall`, as Node's own are.
[[noreturn]] void throwSystemError(napi_env env, int error, const char* call);

/// An ArrayBuffer over memory of C++, which `owner` keeps alive until the last view is collected.
napi_value externalArrayBuffer(napi_env env, std::byte* data, std::size_t size, std::shared_ptr<void> owner);

}  // namespace mdev
