// What the tests of guest memory share: files with known content, and what the process holds open and mapped.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "check.h"
#include "memory/dma_space.h"
#include "memory/unmapper.h"

namespace memory_test {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint32_t kBoth = mdev::kDmaRead | mdev::kDmaWrite;

/// A memfd of `pages` zero pages. Its mappings are found by its name.
inline mdev::FileDescriptor memoryFile(uint64_t pages, unsigned flags = 0) {
  mdev::FileDescriptor fd(::memfd_create("mdev-memory-test", flags | MFD_CLOEXEC));
  CHECK(fd);
  CHECK(::ftruncate(fd.get(), static_cast<off_t>(pages * kPage)) == 0);
  return fd;
}

/// Writes `value` into the first and the last 8 bytes of a page.
inline void stamp(int fd, uint64_t page, uint64_t value) {
  CHECK(::pwrite(fd, &value, sizeof(value), static_cast<off_t>(page * kPage)) == sizeof(value));
  CHECK(::pwrite(fd, &value, sizeof(value), static_cast<off_t>((page + 1) * kPage - sizeof(value))) == sizeof(value));
}

inline mdev::FileDescriptor duplicate(const mdev::FileDescriptor& fd) {
  mdev::FileDescriptor copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  CHECK(copy);
  return copy;
}

/// The same file through a description of its own.
inline mdev::FileDescriptor reopen(const mdev::FileDescriptor& fd, int flags) {
  mdev::FileDescriptor opened(::open(("/proc/self/fd/" + std::to_string(fd.get())).c_str(), flags | O_CLOEXEC));
  CHECK(opened);
  return opened;
}

inline uint64_t load(const std::byte* pointer) {
  uint64_t value = 0;
  std::memcpy(&value, pointer, sizeof(value));
  return value;
}

/// Open descriptors of the process.
inline int openFiles() {
  DIR* directory = ::opendir("/proc/self/fd");
  CHECK(directory != nullptr);
  int count = 0;
  while (const dirent* entry = ::readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
  ::closedir(directory);
  return count - 1;
}

/// Mappings of files that `memoryFile` made, as start addresses and sizes. Without those that are about to be unmapped.
struct Mapping {
  uint64_t start;
  uint64_t size;
};
inline std::vector<Mapping> mappings() {
  CHECK(mdev::Unmapper::instance().drain(std::chrono::seconds(60)));
  std::vector<Mapping> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("mdev-memory-test") == std::string::npos) continue;
    char* rest = nullptr;
    const uint64_t start = std::strtoull(line.c_str(), &rest, 16);
    found.push_back({start, std::strtoull(rest + 1, nullptr, 16) - start});
  }
  return found;
}

}  // namespace memory_test
