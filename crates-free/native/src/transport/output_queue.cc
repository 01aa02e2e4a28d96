#include "transport/output_queue.h"

#include <algorithm>
#include <utility>

#include "transport/socket_io.h"

namespace mdev {

void OutputQueue::appendWithFds(std::span<const std::byte> bytes, std::vector<FileDescriptor> fds) {
  const std::size_t begin = collected_.bytes.size();
  append(bytes);
  if (!fds.empty()) collected_.attachments.push_back({begin, begin + bytes.size(), std::move(fds)});
}

Outgoing OutputQueue::next() {
  if (sent_ == sending_.bytes.size()) {
    sending_.bytes.clear();
    sending_.attachments.clear();
    sending_.attached = 0;
    sent_ = 0;
    std::swap(sending_, collected_);
  }
  const std::span<const std::byte> rest = std::span(sending_.bytes).subspan(sent_);
  if (sending_.attached == sending_.attachments.size()) return {rest, {}};
  const Attachment& front = sending_.attachments[sending_.attached];
  if (sent_ < front.begin) return {rest.first(front.begin - sent_), {}};
  return {rest.first(front.end - sent_), front.fds};
}

void OutputQueue::sent(std::size_t size) {
  sent_ += size;
  if (sending_.attached == sending_.attachments.size() || size == 0) return;
  Attachment& front = sending_.attachments[sending_.attached];
  if (sent_ >= front.end) {
    front.fds.clear();
    ++sending_.attached;
  } else if (sent_ > front.begin) {
    front.fds.clear();  // they went with the first byte
  }
}

void OutputQueue::clear() {
  collected_ = {};
  sending_ = {};
  sent_ = 0;
}

// Pieces, each a length that is not 0, the number of its fds, these, and its bytes; then a length of 0.

void OutputQueue::save(const Buffer& buffer, std::size_t from, HandoverWriter& archive) {
  const auto piece = [&](std::size_t end, std::span<const FileDescriptor> fds) {
    if (end == from) return;
    archive.value(static_cast<uint64_t>(end - from));
    exchangeCount(archive, fds.size(), kMaxFdsPerRead);
    for (const FileDescriptor& fd : fds) archive.fd(fd.get());
    archive.bytes(std::span(buffer.bytes).subspan(from, end - from));
    from = end;
  };
  for (std::size_t index = buffer.attached; index < buffer.attachments.size(); ++index) {
    const Attachment& attachment = buffer.attachments[index];
    if (from < attachment.begin) piece(attachment.begin, {});
    piece(attachment.end, attachment.fds);
  }
  piece(buffer.bytes.size(), {});
}

void OutputQueue::save(HandoverWriter& archive) const {
  save(sending_, sent_, archive);
  save(collected_, 0, archive);
  archive.value(uint64_t{0});
}

void OutputQueue::restore(HandoverReader& archive, std::size_t most) {
  for (;;) {
    uint64_t size = 0;
    archive.value(size);
    archive.require(size <= archive.left() && size <= most - std::min(most, this->size()));
    if (size == 0 || !archive.good()) return;
    std::vector<FileDescriptor> fds;
    for (uint32_t left = exchangeCount(archive, 0, kMaxFdsPerRead); left > 0; --left)
      fds.push_back(archive.fd().known());
    std::vector<std::byte> bytes(size);
    archive.bytes(bytes);
    if (!archive.good()) return;
    appendWithFds(bytes, std::move(fds));
  }
}

}  // namespace mdev
