// Memory that was mapped, and its owner.
#pragma once

#include <sys/mman.h>

#include <cstddef>

namespace mdev {

/// Unmaps at the end of its life. Never empty.
class Mapping {
 public:
  Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
  ~Mapping() { ::munmap(address_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const { return static_cast<std::byte*>(address_); }
  std::size_t size() const { return size_; }

 private:
  void* const address_;
  const std::size_t size_;
};

}  // namespace mdev
