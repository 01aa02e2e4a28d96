#include "registers/register_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace mdev {

// An empty region still has an address: mmap refuses length 0.
RegisterMemory::RegisterMemory(std::size_t size) : size_(size) {
  void* memory = ::mmap(nullptr, size == 0 ? 1 : size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "register memory");
  data_ = static_cast<std::byte*>(memory);
}

RegisterMemory::~RegisterMemory() { ::munmap(data_, size_ == 0 ? 1 : size_); }

}  // namespace mdev
