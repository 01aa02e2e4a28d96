// What a framer gives another process: a length and the bytes; sets of fds whose message is not known yet; fds of
// messages. Positions count from the first of the bytes.
#include <algorithm>
#include <utility>

#include "vfio_user/framer.h"

namespace mdev::vfio_user {

namespace {

void saveFds(HandoverWriter& archive, const std::vector<ForeignFd>& fds) {
  archive.value(static_cast<uint32_t>(fds.size()));
  for (const ForeignFd& fd : fds) archive.fd(fd.get());
}

std::vector<ForeignFd> restoreFds(HandoverReader& archive, uint32_t most) {
  std::vector<ForeignFd> fds;
  for (uint32_t left = exchangeCount(archive, 0, most); left > 0; --left) fds.push_back(archive.fd());
  return fds;
}

}  // namespace

void Framer::save(HandoverWriter& archive) {
  if (!taken_.empty()) closeGaps();
  const uint64_t base = buffer_.begin();
  archive.value(static_cast<uint64_t>(buffer_.size()));
  archive.bytes(buffer_.from(base));
  archive.value(static_cast<uint32_t>(undecided_.size()));
  for (const FdSet& set : undecided_) {
    // A read may have begun with messages that are consumed: they cannot be the owner any more.
    archive.value(std::max(set.begin, base) - base);
    archive.value(set.end - base);
    archive.choice(set.dropped);
    saveFds(archive, set.fds);
  }
  archive.value(static_cast<uint32_t>(owned_.size()));
  for (const Owned& entry : owned_) {
    archive.value(entry.message - base);
    archive.choice(entry.stray);
    saveFds(archive, entry.fds);
  }
}

void Framer::restore(HandoverReader& archive, std::size_t most) {
  uint64_t size = 0;
  archive.value(size);
  archive.require(size <= archive.left() && size <= most);
  if (!archive.good()) return;
  if (size > 0) {
    archive.bytes(buffer_.room(size).first(size));
    buffer_.append(size);
  }
  const uint64_t base = buffer_.begin();
  uint64_t last = 0;
  for (uint32_t left = exchangeCount(archive, 0, kMaxUndecided); left > 0 && archive.good(); --left) {
    FdSet set{};
    archive.value(set.begin);
    archive.value(set.end);
    archive.choice(set.dropped);
    set.fds = restoreFds(archive, maxFds_);
    archive.require(last <= set.begin && set.begin < set.end && set.end <= size);
    last = set.end;
    set.begin += base;
    set.end += base;
    heldFds_ += set.fds.size();
    undecided_.push_back(std::move(set));
  }
  for (uint32_t left = exchangeCount(archive, 0, static_cast<uint32_t>(most)); left > 0 && archive.good(); --left) {
    Owned entry{};
    archive.value(entry.message);
    archive.choice(entry.stray);
    entry.fds = restoreFds(archive, maxFds_);
    archive.require(entry.message < size);
    entry.message += base;
    archive.require(owned_.empty() || owned_.back().message < entry.message);
    heldFds_ += entry.fds.size();
    owned_.push_back(std::move(entry));
  }
}

}  // namespace mdev::vfio_user
