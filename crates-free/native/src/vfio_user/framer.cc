#include "vfio_user/framer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mdev::vfio_user {

Framer::Framer(CarriesFds carriesFds, uint32_t maxMessage, uint32_t maxFds)
    : carriesFds_(carriesFds), maxMessage_(maxMessage), maxFds_(maxFds) {}

std::optional<Header> Framer::headerAt(uint64_t position) const {
  if (buffer_.end() - position < sizeof(Header)) return std::nullopt;
  return decode<Header>(buffer_.from(position));
}

bool Framer::badSize(const Header& header) const { return header.size < sizeof(Header) || header.size > maxMessage_; }

uint64_t Framer::lengthOf(const Header& header) const { return badSize(header) ? sizeof(Header) : header.size; }

std::span<std::byte> Framer::room() {
  const std::optional<Header> header = headerAt(buffer_.begin());
  const std::size_t first = header ? static_cast<std::size_t>(lengthOf(*header)) : sizeof(Header);
  // While it is open whose fds some are, the first message may have to wait for a header that is still to come.
  return buffer_.room(undecided_.empty() ? first : std::max(first, buffer_.size() + sizeof(Header)));
}

void Framer::received(std::size_t size, std::vector<ForeignFd> fds, bool welcome) {
  const uint64_t begin = buffer_.end();
  buffer_.append(size);
  if (!fds.empty()) {
    const bool dropped = !welcome || fds.size() > maxFds_;
    if (dropped) fds.clear();
    undecided_.push_back({begin, buffer_.end(), std::move(fds), dropped});
  }
  while (!undecided_.empty() && decide()) {
  }
}

bool Framer::decide() {
  const FdSet& set = undecided_.front();
  // Whose bytes are in the read? Every message from the first one held on that ends behind its start and begins before
  // its end.
  std::optional<uint64_t> owner;
  uint64_t last = buffer_.begin();
  for (uint64_t position = buffer_.begin(); position < set.end;) {
    const std::optional<Header> header = headerAt(position);
    if (!header) return false;
    const uint64_t end = position + lengthOf(*header);
    if (end > set.begin) {
      last = position;
      if (!badSize(*header) && carriesFds_(*header)) owner = position;
    }
    // Behind a message of unknown length nothing is known to be a message.
    if (header->size > maxMessage_) break;
    position = end;
  }
  FdSet decided = std::move(undecided_.front());
  undecided_.pop_front();
  give(owner.value_or(last), std::move(decided), !owner);
  return true;
}

void Framer::give(uint64_t message, FdSet set, bool stray) {
  auto place = std::find_if(owned_.begin(), owned_.end(), [&](const Owned& entry) { return entry.message >= message; });
  if (place == owned_.end() || place->message != message) place = owned_.insert(place, {message, {}, false});
  place->stray = place->stray || stray || set.dropped || place->fds.size() + set.fds.size() > maxFds_;
  if (place->stray) {
    place->fds.clear();
  } else {
    std::move(set.fds.begin(), set.fds.end(), std::back_inserter(place->fds));
  }
}

void Framer::takeFds(uint64_t position, Message& message) {
  const auto place =
      std::find_if(owned_.begin(), owned_.end(), [position](const Owned& entry) { return entry.message == position; });
  if (place == owned_.end()) return;
  message.fds = std::move(place->fds);
  message.strayFds = place->stray;
  owned_.erase(place);
}

void Framer::dropTaken() {
  while (!taken_.empty() && taken_.front() == buffer_.begin()) {
    Message message;
    // Those that turned out to be its own after it was taken.
    takeFds(taken_.front(), message);
    buffer_.consume(headerAt(taken_.front())->size);
    taken_.pop_front();
  }
}

void Framer::closeGaps() {
  std::vector<BufferGap> gaps;
  gaps.reserve(taken_.size());
  for (const uint64_t position : taken_) gaps.push_back({position, headerAt(position)->size});
  const auto moved = [&gaps](uint64_t position) {
    uint64_t before = 0;
    for (const BufferGap& gap : gaps) {
      if (gap.position >= position) break;
      before += std::min(gap.size, position - gap.position);
    }
    return position - before;
  };
  // Those that turned out to be its own after it was taken.
  std::erase_if(owned_, [this](const Owned& entry) {
    return std::find(taken_.begin(), taken_.end(), entry.message) != taken_.end();
  });
  for (Owned& entry : owned_) entry.message = moved(entry.message);
  for (FdSet& set : undecided_) {
    set.begin = moved(set.begin);
    set.end = moved(set.end);
  }
  searched_ = moved(searched_);
  buffer_.erase(gaps);
  taken_.clear();
}

std::span<std::byte> Framer::roomBehind(std::size_t most) {
  // All at once, and only where room is short: each time moves what is held.
  if (buffer_.size() >= most && !taken_.empty()) closeGaps();
  if (buffer_.size() >= most) return {};
  return buffer_.room(std::min(most, std::max(InputBuffer::kInitialSize, 2 * buffer_.size())));
}

std::optional<Message> Framer::takeBehind(bool (*wanted)(const Header&)) {
  searched_ = std::max(searched_, buffer_.begin() + current_);
  for (;;) {
    const uint64_t position = searched_;
    const std::optional<Header> header = headerAt(position);
    if (!header || badSize(*header) || buffer_.end() - position < header->size) return std::nullopt;
    searched_ += header->size;
    if (!wanted(*header)) continue;
    Message message;
    message.header = *header;
    message.body = buffer_.from(position).first(header->size).subspan(sizeof(Header));
    takeFds(position, message);
    taken_.push_back(position);
    return message;
  }
}

void Framer::endBeforeTaken() {
  const uint64_t end = taken_.back();
  taken_.pop_back();
  buffer_.truncate(end);
  searched_ = end;
  std::erase_if(owned_, [end](const Owned& entry) { return entry.message >= end; });
  std::erase_if(undecided_, [end](const FdSet& set) { return set.begin >= end; });
  // Nothing that is still to come can be their owner any more.
  for (FdSet& set : undecided_) set.end = std::min(set.end, end);
  while (!undecided_.empty() && decide()) {
  }
}

std::optional<Message> Framer::next() {
  dropTaken();
  const uint64_t begin = buffer_.begin();
  const std::optional<Header> header = headerAt(begin);
  if (!header) return std::nullopt;
  const uint64_t length = lengthOf(*header);
  if (buffer_.size() < length) return std::nullopt;
  const bool bad = badSize(*header);
  // It may still be given fds: wait for the header that decides it.
  if (!undecided_.empty() && begin + length > undecided_.front().begin && !bad && carriesFds_(*header))
    return std::nullopt;

  Message message;
  message.header = *header;
  message.badSize = bad;
  current_ = static_cast<std::size_t>(length);
  message.body = body();
  takeFds(begin, message);
  return message;
}

void Framer::dropFds() {
  undecided_.clear();
  owned_.clear();
}

void Framer::consume() {
  buffer_.consume(current_);
  current_ = 0;
}

}  // namespace mdev::vfio_user
