#include "memory/file_registry.h"

#include <cerrno>
#include <utility>

namespace mdev {

MemoryFile* FileRegistry::find(const FileIdentity& identity) const {
  const auto found = files_.find(identity);
  return found == files_.end() ? nullptr : found->second.get();
}

int FileRegistry::acquire(FileDescriptor fd, const FileFacts& facts, const FileRange& range, MemoryFile*& file) {
  uint64_t others = 0;
  for (const auto& [identity, known] : files_)
    if (identity != facts.identity) others += known->windowBytes();

  MemoryFile* known = find(facts.identity);
  if (known == nullptr) {
    if (files_.size() >= kMaxFiles) return ENOSPC;
    auto added = std::make_unique<MemoryFile>(std::move(fd), facts, epochs_);
    if (const int error = added->cover(range, facts.size, kMaxWindowBytes - others); error != 0) return error;
    known = files_.emplace(facts.identity, std::move(added)).first->second.get();
  } else {
    if (known->broken()) return EIO;
    if (const int error = known->cover(range, facts.size, kMaxWindowBytes - others); error != 0) return error;
  }
  ++known->uses;
  file = known;
  return 0;
}

void FileRegistry::sweep() {
  std::erase_if(files_, [](const auto& entry) { return entry.second->uses == 0; });
}

}  // namespace mdev
