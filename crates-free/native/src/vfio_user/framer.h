// Cuts a stream into messages and finds out whose file descriptors are whose.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/foreign_fd.h"
#include "base/handover_archive.h"
#include "transport/input_buffer.h"
#include "vfio_user/protocol.h"

namespace mdev::vfio_user {

/// Which messages may carry fds.
using CarriesFds = bool (*)(const Header&);

/// A whole message; `body` is valid until `consume`.
struct Message {
  Header header;
  std::span<const std::byte> body;
  std::vector<ForeignFd> fds;
  /// fds came with it that it cannot carry, or more than it may (they are closed): to be refused.
  bool strayFds = false;
  /// `header.size` is no size: less than a header (then the message is taken to be one header long), or more than the
  /// limit (then where the next message begins is unknown).
  bool badSize = false;
};

/// Framing of vfio-user.
///
/// A stream has no message boundaries, and fds arrive "with a read". Linux ends a read behind the segment that carried
/// fds, so the fds of one read belong to the last message that starts in it; if that one cannot carry fds, to the
/// nearest earlier one that overlaps the read and can; if none can, they are closed and the last one is refused. Where
/// the header of that last message is incomplete, the decision waits, and with it every message that may still turn out
/// to be the owner.
class Framer {
 public:
  /// What a client may bring behind a message that waits takes descriptors of the process, which others need, too.
  static constexpr std::size_t kMaxHeldFds = 1024;

  /// `maxMessage` in bytes, header included; `maxFds` of one message.
  Framer(CarriesFds carriesFds, uint32_t maxMessage, uint32_t maxFds);

  /// Where to read to; not empty, unless messages that wait to be taken fill it. Moves what is held: not between `next`
  /// and `consume`.
  std::span<std::byte> room();
  /// A read brought `size` bytes (not 0) and `fds`. Unless they are `welcome` nobody gets them: they are closed now,
  /// and their message is refused.
  void received(std::size_t size, std::vector<ForeignFd> fds, bool welcome = true);

  /// The header of the first message, as soon as it is there.
  std::optional<Header> firstHeader() const { return headerAt(buffer_.begin()); }

  /// The first message, if it is whole (or its size is bad) and its fds are known. Takes its fds: once per message.
  std::optional<Message> next();
  /// The body of the message that `next` gave last, again.
  std::span<const std::byte> body() const { return whole().subspan(sizeof(Header)); }
  /// That message, with its header.
  std::span<const std::byte> whole() const { return buffer_.from(buffer_.begin()).first(current_); }
  /// Drops the message that `next` gave last.
  void consume();

  /// Where to read to while the message that `next` gave last waits; empty when `most` bytes are held that `takeBehind`
  /// has not given, or kMaxHeldFds descriptors.
  std::span<std::byte> roomBehind(std::size_t most);
  /// The first whole message behind that one of which `wanted` is true and that was not given yet. It is out of the
  /// line then. Its body is valid until `roomBehind`.
  std::optional<Message> takeBehind(bool (*wanted)(const Header&));
  /// The message that `takeBehind` gave last ends the line: what came behind it is dropped, with its fds.
  void endBeforeTaken();

  /// What was received and not consumed, with its fds. Not between `next` and `consume`.
  void save(HandoverWriter& archive);
  /// Goes on with what another framer of these limits has saved, at most `most` bytes, before anything is received.
  void restore(HandoverReader& archive, std::size_t most);

  /// Closes the fds that no message has been given yet: nobody will take them.
  void dropFds();

  /// True when the stream stands between two messages.
  bool atBoundary() const { return buffer_.size() == 0; }
  std::size_t held() const { return buffer_.size(); }

 private:
  /// The fds of one read, before their message is known.
  struct FdSet {
    uint64_t begin;
    uint64_t end;
    std::vector<ForeignFd> fds;
    /// They are closed already, because nothing may carry so many: their message is refused.
    bool dropped;
  };
  static constexpr std::size_t kMaxUndecided = sizeof(Header) - 1;
  /// The fds of one message that is still in the buffer; none when it has been given them.
  struct Owned {
    uint64_t message;
    std::vector<ForeignFd> fds;
    bool stray;
  };
  std::optional<Header> headerAt(uint64_t position) const;
  uint64_t lengthOf(const Header& header) const;
  bool badSize(const Header& header) const;
  /// Finds the owner of the oldest undecided fds; false when that has to wait.
  bool decide();
  void give(uint64_t message, FdSet set, bool stray);
  /// The fds of the message at `position`, or of the first one behind it that has some.
  std::deque<Owned>::iterator ownedFrom(uint64_t position);
  /// Closes fds of the undecided that are too many for one message: it is refused, whichever it is.
  void dropExcess();
  /// Closes them.
  void drop(std::vector<ForeignFd>& fds);
  /// Moves the fds of a message into it.
  void takeFds(uint64_t position, Message& message);
  /// Closes what belongs to messages that are consumed.
  void forgetConsumed();
  /// Drops what was taken out of the line and stands first now.
  void dropTaken();
  /// Drops all that was taken out of the line, wherever it stands.
  void closeGaps();

  InputBuffer buffer_;
  const CarriesFds carriesFds_;
  const uint32_t maxMessage_;
  const uint32_t maxFds_;
  /// At most kMaxUndecided: each ends inside the same 16-byte header.
  std::deque<FdSet> undecided_;
  /// A message begins here, or none is held any more; those in front of it end before the oldest undecided fds begin.
  uint64_t decided_ = 0;
  /// In the order of their messages.
  std::deque<Owned> owned_;
  /// Descriptors in `undecided_` and `owned_`.
  std::size_t heldFds_ = 0;
  /// Messages that were taken out of the line, and how far the line was searched for them.
  std::deque<uint64_t> taken_;
  uint64_t searched_ = 0;
  /// Length of the message that `next` gave last; 0 when there is none.
  std::size_t current_ = 0;
};

}  // namespace mdev::vfio_user
