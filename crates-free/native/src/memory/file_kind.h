// Which files a client may offer as guest memory, and what identifies one.
#pragma once

#include <compare>
#include <cstdint>

namespace mdev {

/// Two descriptors of equal identity reach the same memory with the same rights.
struct FileIdentity {
  uint32_t deviceMajor;
  uint32_t deviceMinor;
  uint64_t inode;
  bool writable;
  auto operator<=>(const FileIdentity&) const = default;
};

struct FileFacts {
  FileIdentity identity;
  /// Bytes, at the time of asking.
  uint64_t size;
  /// Alignment of offsets, lengths and faults: the system's page, or the huge page of a hugetlbfs file.
  uint64_t pageSize;
};

/// Fills `facts`, or returns EINVAL (not memory or a file of a local file system) or EACCES (not readable). Never asks
/// a file system whose answer could wait for somebody: no FUSE, no network.
int inspectFile(int fd, FileFacts& facts);

}  // namespace mdev
