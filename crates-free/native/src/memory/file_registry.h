// The files behind one instance's guest memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/file_descriptor.h"
#include "memory/file_kind.h"
#include "memory/memory_file.h"

namespace mdev {

/// Files of one instance, each once, however often the client sends a descriptor of it. Not shared between instances:
/// what one client does to its file (shrinks it, makes it huge) is no other's concern. Owner thread.
class FileRegistry {
 public:
  /// `epochs`: of those who read the files; outlives them.
  explicit FileRegistry(EpochDomain& epochs) : epochs_(epochs) {}

  /// Files at a time. Each costs a descriptor and a mapping, and a process has a limit of both.
  static constexpr size_t kMaxFiles = 256;
  /// Address space for all windows together, bytes; beyond any guest of today, a fraction of what a process has.
  static constexpr uint64_t kMaxWindowBytes = uint64_t{8} << 40;

  /// The file of this identity, or null.
  MemoryFile* find(const FileIdentity& identity) const;
  /// Counts one more use of `fd`'s file and makes `range` reachable. `fd` is closed if the file is known already.
  /// Returns 0, EIO (the file is broken), ENOSPC (kMaxFiles, kMaxWindowBytes) or mmap's errno; then nothing changed.
  int acquire(FileDescriptor fd, const FileFacts& facts, const FileRange& range, MemoryFile*& file);
  /// Takes one use back. The file stays until `sweep`: readers may be in it.
  static void release(MemoryFile& file) { --file.uses; }
  /// Drops the files without uses. No reader may be left in them.
  void sweep();

 private:
  EpochDomain& epochs_;
  std::map<FileIdentity, std::unique_ptr<MemoryFile>> files_;
};

}  // namespace mdev
