#include "transport/output_queue.h"

#include <utility>

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

}  // namespace mdev
