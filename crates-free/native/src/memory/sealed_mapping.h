// Files of others, mapped where nothing handles SIGBUS.
#pragma once

#include <cstdint>
#include <memory>

#include "base/mapping.h"

namespace mdev {

/// Why a file was not mapped.
struct MappingRefused {
  int error;
  const char* reason;
};

/// Maps [offset, offset + size) of a file that its maker can neither truncate nor keep from having pages: a memfd of
/// ordinary pages with F_SEAL_SHRINK. An access to the mapping never raises SIGBUS then.
///
/// `writable`: stores reach the file. Otherwise they stay in this mapping, in pages of its own.
///
/// Throws MappingRefused: EPERM, another kind of file, or one that may shrink; EPERM or EACCES, one that may not be
/// written, with `writable`; EINVAL, `size` 0, an offset within a page, or a range that the file does not have; ENOMEM.
std::shared_ptr<Mapping> mapSealed(int fd, uint64_t offset, uint64_t size, bool writable);

}  // namespace mdev
