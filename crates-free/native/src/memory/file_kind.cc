#include "memory/file_kind.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace mdev {

namespace {

// <linux/magic.h> has no name for it.
constexpr uint32_t kXfsMagic = 0x58465342;

// Not overlayfs: it may lie on any other. Not btrfs and its like: their device numbers have no major (see below).
constexpr std::array<uint32_t, 5> kAccepted = {TMPFS_MAGIC, HUGETLBFS_MAGIC, EXT4_SUPER_MAGIC, kXfsMagic,
                                               F2FS_SUPER_MAGIC};

}  // namespace

int inspectFile(int fd, FileFacts& facts) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0) return EINVAL;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &status) != 0) return EINVAL;
  if (!S_ISREG(status.stx_mode)) return EINVAL;

  // fstatfs sends a request to a FUSE or network server, which may be the client itself and need not answer. What the
  // kernel has said so far, it said alone: seals exist only for memfd, tmpfs and hugetlbfs; and a device number with a
  // major belongs to a file system on a block device, which only an administrator mounts.
  if (seals < 0 && status.stx_dev_major == 0) return EINVAL;
  struct statfs system {};
  if (::fstatfs(fd, &system) != 0) return EINVAL;
  const auto magic = static_cast<uint32_t>(system.f_type);
  if (std::find(kAccepted.begin(), kAccepted.end(), magic) == kAccepted.end()) return EINVAL;
  if ((flags & O_ACCMODE) == O_WRONLY) return EACCES;

  const bool sealed = seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
  facts.identity = {.deviceMajor = status.stx_dev_major,
                    .deviceMinor = status.stx_dev_minor,
                    .inode = status.stx_ino,
                    .writable = (flags & O_ACCMODE) == O_RDWR && !sealed};
  facts.size = status.stx_size;
  facts.pageSize = static_cast<uint64_t>(magic == HUGETLBFS_MAGIC ? system.f_bsize : ::sysconf(_SC_PAGESIZE));
  return 0;
}

}  // namespace mdev
