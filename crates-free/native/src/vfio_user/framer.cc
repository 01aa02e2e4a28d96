#include "vfio_user/framer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mdev::vfio_user {

namespace {

/// Where positions are when gaps are closed. To be asked in their order: then all of it is one pass over the gaps.
class ClosedGaps {
 public:
  explicit ClosedGaps(std::span<const BufferGap> gaps) : gaps_(gaps) {}
  /// The bytes from a gap on are at its start.
  uint64_t operator()(uint64_t position) {
    while (!gaps_.empty() && gaps_.front().position + gaps_.front().size <= position) {
      closed_ += gaps_.front().size;
      gaps_ = gaps_.subspan(1);
    }
    if (inGap(position)) return gaps_.front().position - closed_;
    return position - closed_;
  }
  /// Of the position that was asked for last, or of one that is not in front of it.
  bool inGap(uint64_t position) const { return !gaps_.empty() && gaps_.front().position <= position; }

 private:
  std::span<const BufferGap> gaps_;
  uint64_t closed_ = 0;
};

}  // namespace

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
    heldFds_ += fds.size();
    undecided_.push_back({begin, buffer_.end(), std::move(fds), dropped});
  }
  while (!undecided_.empty() && decide()) {
  }
  dropExcess();
}

/// All reads that wait, but the first one, lie inside the header that is awaited: their fds are its message's or
/// nobody's.
void Framer::dropExcess() {
  std::size_t count = 0;
  for (std::size_t n = 1; n < undecided_.size(); ++n) count += undecided_[n].fds.size();
  if (count <= maxFds_) return;
  for (std::size_t n = 1; n < undecided_.size(); ++n) {
    drop(undecided_[n].fds);
    undecided_[n].dropped = true;
  }
}

bool Framer::decide() {
  const FdSet& set = undecided_.front();
  // Whose bytes are in the read? Every message that ends behind its start and begins before its end.
  decided_ = std::max(decided_, buffer_.begin());
  std::optional<uint64_t> owner;
  uint64_t last = decided_;
  for (uint64_t position = decided_; position < set.end;) {
    const std::optional<Header> header = headerAt(position);
    if (!header) return false;
    const uint64_t end = position + lengthOf(*header);
    last = position;
    if (end > set.begin) {
      if (!badSize(*header) && carriesFds_(*header)) owner = position;
    } else {
      decided_ = position;
    }
    // Behind a message of unknown length nothing is known to be a message.
    if (header->size > maxMessage_) break;
    position = end;
  }
  // The next fds came with a later read, which this one may reach into.
  decided_ = last;
  FdSet decided = std::move(undecided_.front());
  undecided_.pop_front();
  give(owner.value_or(last), std::move(decided), !owner);
  return true;
}

std::deque<Framer::Owned>::iterator Framer::ownedFrom(uint64_t position) {
  return std::lower_bound(owned_.begin(), owned_.end(), position,
                          [](const Owned& entry, uint64_t message) { return entry.message < message; });
}

void Framer::drop(std::vector<ForeignFd>& fds) {
  heldFds_ -= fds.size();
  fds.clear();
}

void Framer::give(uint64_t message, FdSet set, bool stray) {
  auto place = ownedFrom(message);
  if (place == owned_.end() || place->message != message) place = owned_.insert(place, {message, {}, false});
  place->stray = place->stray || stray || set.dropped || place->fds.size() + set.fds.size() > maxFds_;
  if (place->stray) {
    drop(place->fds);
    drop(set.fds);
  } else {
    std::move(set.fds.begin(), set.fds.end(), std::back_inserter(place->fds));
  }
}

void Framer::takeFds(uint64_t position, Message& message) {
  const auto place = ownedFrom(position);
  if (place == owned_.end() || place->message != position) return;
  message.fds = std::exchange(place->fds, {});
  heldFds_ -= message.fds.size();
  message.strayFds = place->stray;
}

void Framer::forgetConsumed() {
  for (; !owned_.empty() && owned_.front().message < buffer_.begin(); owned_.pop_front()) drop(owned_.front().fds);
}

void Framer::dropTaken() {
  while (!taken_.empty() && taken_.front() == buffer_.begin()) {
    buffer_.consume(headerAt(taken_.front())->size);
    taken_.pop_front();
  }
  // With what turned out to be theirs after they were taken.
  forgetConsumed();
}

void Framer::closeGaps() {
  std::vector<BufferGap> gaps;
  gaps.reserve(taken_.size());
  for (const uint64_t position : taken_) gaps.push_back({position, headerAt(position)->size});

  // What lies in front of the first gap stays where it is.
  const auto first = ownedFrom(gaps.front().position);
  ClosedGaps movedOwned(gaps);
  auto kept = first;
  for (auto entry = first; entry != owned_.end(); ++entry) {
    const uint64_t message = movedOwned(entry->message);
    // What turned out to be its own after it was taken goes with it.
    if (movedOwned.inGap(entry->message)) {
      drop(entry->fds);
      continue;
    }
    if (kept != entry) *kept = std::move(*entry);
    kept->message = message;
    ++kept;
  }
  owned_.erase(kept, owned_.end());

  ClosedGaps movedSets(gaps);
  for (FdSet& set : undecided_) {
    set.begin = movedSets(set.begin);
    set.end = movedSets(set.end);
  }
  searched_ = ClosedGaps(gaps)(searched_);
  decided_ = ClosedGaps(gaps)(decided_);
  buffer_.erase(gaps);
  taken_.clear();
}

std::span<std::byte> Framer::roomBehind(std::size_t most) {
  // All at once, and only where room is short: each time moves what is held.
  if (buffer_.size() >= most && !taken_.empty()) closeGaps();
  if (heldFds_ >= kMaxHeldFds) return {};
  return buffer_.roomFor(most);
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
  while (!owned_.empty() && owned_.back().message >= end) {
    drop(owned_.back().fds);
    owned_.pop_back();
  }
  while (!undecided_.empty() && undecided_.back().begin >= end) {
    drop(undecided_.back().fds);
    undecided_.pop_back();
  }
  decided_ = buffer_.begin();
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
  heldFds_ = 0;
}

void Framer::consume() {
  buffer_.consume(current_);
  current_ = 0;
  forgetConsumed();
}

}  // namespace mdev::vfio_user
