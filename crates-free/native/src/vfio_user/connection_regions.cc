// REGION_READ, REGION_WRITE and REGION_WRITE_MULTI.
#include <cerrno>
#include <cstring>
#include <utility>

#include "vfio_user/connection.h"

namespace mdev::vfio_user {

namespace {

constexpr uint64_t kPage = 4096;
/// Bytes of a region reply in front of the data.
constexpr std::size_t kRegionReplyFront = sizeof(Header) + sizeof(RegionBody);

}  // namespace

bool Connection::isLegal(uint32_t region, uint64_t offset, uint32_t count, uint32_t right) const {
  if ((core_->regionFlags(region) & right) == 0) return false;
  const uint64_t size = core_->regionSize(region);
  return offset <= size && count <= size - offset;
}

uint32_t Connection::pieceOf(uint64_t offset, uint32_t count) const {
  const uint32_t left = count - progress_;
  if (left <= kRoundBytes) return left;
  // Ends at a page, so that no register is cut that the client accessed whole.
  const uint64_t begin = offset + progress_;
  return static_cast<uint32_t>((begin + kRoundBytes) / kPage * kPage - begin);
}

bool Connection::serveRegion() {
  const Header header = current_->header;
  const bool write = header.command == kCommandRegionWrite;
  const std::span<const std::byte> bytes = framer_.body();
  if (bytes.size() < sizeof(RegionBody)) {
    reject(EINVAL);
    return true;
  }
  const auto body = decode<RegionBody>(bytes);
  if (progress_ == 0) {
    // The whole range first: nothing half done.
    if (body.count > kMaxTransfer || (write && bytes.size() - sizeof body != body.count) ||
        !isLegal(body.region, body.offset, body.count, write ? kRegionWrite : kRegionRead)) {
      reject(EINVAL);
      return true;
    }
    reply_.resize(kRegionReplyFront + (write ? 0 : body.count));
  }
  const Arrival arrival{body.count, (header.flags & kNoReply) != 0};
  do {
    const uint32_t size = pieceOf(body.offset, body.count);
    const uint64_t offset = body.offset + progress_;
    const int error =
        write ? core_->post(body.region, offset, bytes.subspan(sizeof body + progress_, size), arrival)
              : core_->read(body.region, offset, std::span(reply_).subspan(kRegionReplyFront + progress_, size));
    // A hook may have closed the connection; then nobody is left to answer.
    if (closed_) return true;
    // Of a write: nothing was refused, it may be tried again.
    if (error == EAGAIN && write) {
      replyError(error);
      return true;
    }
    if (error != 0) {
      passOn(error);
      return true;
    }
    progress_ += size;
    copied_ += size;
  } while (progress_ < body.count && copied_ < kRoundBytes);
  if (progress_ < body.count) return false;

  if ((header.flags & kNoReply) != 0) return true;
  const Header front{header.id, header.command, static_cast<uint32_t>(reply_.size()), kTypeReply, 0};
  std::memcpy(reply_.data(), &front, sizeof front);
  std::memcpy(reply_.data() + sizeof front, &body, sizeof body);
  output_.append(reply_);
  return true;
}

bool Connection::serveRegionWriteMulti() {
  const std::span<const std::byte> bytes = framer_.body();
  uint64_t count = 0;
  if (!agreement_.writeMultiple || bytes.size() < sizeof count) {
    reject(EINVAL);
    return true;
  }
  count = decode<uint64_t>(bytes);
  const std::span<const std::byte> writes = bytes.subspan(sizeof count);
  const auto write = [writes](uint64_t n) {
    return decode<RegionWriteEntry>(writes.subspan(n * sizeof(RegionWriteEntry)));
  };
  if (progress_ == 0) {
    // All of them first: nothing half done.
    bool legal = count <= writes.size() / sizeof(RegionWriteEntry);
    for (uint64_t n = 0; legal && n < count; ++n) {
      const RegionWriteEntry entry = write(n);
      legal = entry.count <= sizeof entry.data && isLegal(entry.region, entry.offset, entry.count, kRegionWrite);
    }
    if (!legal) {
      reject(EINVAL);
      return true;
    }
  }
  int error = 0;
  while (progress_ < count && inBudget()) {
    const RegionWriteEntry entry = write(progress_);
    const uint64_t traps = core_->statistics().traps.load(std::memory_order_relaxed);
    error = core_->post(entry.region, entry.offset, std::as_bytes(std::span(entry.data)).first(entry.count));
    if (closed_) return true;
    if (error != 0) break;
    watchTime(traps);
    ++progress_;
    ++messages_;
  }
  if (error == 0 && progress_ < count) return false;
  if (error != 0 && progress_ == 0) {
    passOn(error);
  } else {
    // Those that are done are done: the number tells.
    reply(encoded(uint64_t{progress_}));
  }
  return true;
}

}  // namespace mdev::vfio_user
