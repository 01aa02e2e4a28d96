// The storage of one register region: values, locks and staged halves.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace mdev {

/// Zero-filled, page-aligned memory that C++ and an ArrayBuffer share; lives as long as either needs it.
class RegisterMemory {
 public:
  explicit RegisterMemory(std::size_t size);
  ~RegisterMemory();
  RegisterMemory(const RegisterMemory&) = delete;
  RegisterMemory& operator=(const RegisterMemory&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

  /// Shared words: how engines and the owner thread meet. `offset` must be aligned and inside; callers check once, when
  /// they bind it.
  std::atomic_ref<uint32_t> word32(std::size_t offset) const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(data_ + offset));
  }
  std::atomic_ref<uint64_t> word64(std::size_t offset) const {
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(data_ + offset));
  }

 private:
  std::byte* data_;
  std::size_t size_;
};

}  // namespace mdev
