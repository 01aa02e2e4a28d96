#include "memory/sealed_mapping.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

namespace mdev {

std::shared_ptr<Mapping> mapSealed(int fd, uint64_t offset, uint64_t size, bool writable) {
  // First: only files of the kernel's own memory have seals, so that nothing below asks a file system of somebody else.
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) throw MappingRefused{EPERM, "a file that may shrink"};
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0) throw MappingRefused{errno, "fstatfs"};
  // Huge pages may run out when they are first touched.
  if (static_cast<uint32_t>(system.f_type) != TMPFS_MAGIC) throw MappingRefused{EPERM, "a file of huge pages"};
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &status) != 0)
    throw MappingRefused{errno, "statx"};
  if (size == 0 || offset > status.stx_size || size > status.stx_size - offset) {
    throw MappingRefused{EINVAL, "a range that the file does not have"};
  }
  const int flags = writable ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) throw MappingRefused{errno, "mmap"};
  return std::make_shared<Mapping>(address, size);
}

}  // namespace mdev
