// sources: vfio_user/framer.cc transport/input_buffer.cc base/fd_closer.cc
// sanitize: address,undefined
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>

#include "vfio_user/framer.h"
#include "vfio_user_support.h"

using namespace mdev::vfio_user;
using namespace vfio_user_test;

namespace {

constexpr uint16_t kCarries = kCommandDmaMap;
constexpr uint16_t kCarriesNot = kCommandRegionRead;
constexpr uint32_t kMost = kMaxMessage;

bool carries(const Header& header) { return header.command == kCarries; }

/// What came out of a framer.
struct Seen {
  Header header;
  Bytes body;
  std::vector<ino_t> files;
  bool stray;
  bool badSize;
};

void takeAll(Framer& framer, std::vector<Seen>& seen) {
  while (std::optional<Message> message = framer.next()) {
    Seen entry{message->header, {message->body.begin(), message->body.end()}, {}, message->strayFds, message->badSize};
    for (const ForeignFd& fd : message->fds) entry.files.push_back(identity(fd.get()));
    seen.push_back(std::move(entry));
    framer.consume();
  }
}

/// Reads the whole stream, at most `most` bytes a time, and takes messages
/// after every read.
std::vector<Seen> readAll(Stream& stream, Framer& framer, std::size_t most = SIZE_MAX) {
  std::vector<Seen> seen;
  while (!stream.empty()) {
    const auto room = framer.room();
    CHECK(!room.empty());
    auto [size, fds] = stream.read(room.first(std::min(room.size(), most)));
    framer.received(size, std::move(fds));
    takeAll(framer, seen);
  }
  return seen;
}

Framer newFramer() { return Framer(carries, kMost, kMaxMessageFds); }

std::vector<FileDescriptor> one(FileDescriptor fd) {
  std::vector<FileDescriptor> list;
  list.push_back(std::move(fd));
  return list;
}

Bytes first(const Bytes& bytes, std::size_t count) { return {bytes.begin(), bytes.begin() + count}; }
Bytes from(const Bytes& bytes, std::size_t at) { return {bytes.begin() + at, bytes.end()}; }
Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}

// --- The rule, case by case ---

void belongsToTheLastMessageOfTheRead() {
  Stream stream;
  FileDescriptor file = newFile();
  const ino_t mine = identity(file.get());
  stream.send(message(1, kCarries, Bytes(32)));
  stream.send(message(2, kCarries, Bytes(32)), one(std::move(file)));
  stream.send(message(3, kCarries, Bytes(32)));
  Framer framer = newFramer();
  const auto seen = readAll(stream, framer);
  CHECK_EQUAL(seen.size(), 3u);
  CHECK(seen[0].files.empty() && seen[2].files.empty());
  CHECK(seen[1].files == std::vector{mine});
}

void goesBackToTheNearestThatCan() {
  Stream stream;
  FileDescriptor file = newFile();
  const ino_t mine = identity(file.get());
  stream.send(message(1, kCarries, Bytes(32)));
  stream.send(message(2, kCarries, Bytes(32)) + message(3, kCarriesNot, Bytes(16)) + message(4, kCarriesNot),
              one(std::move(file)));
  Framer framer = newFramer();
  const auto seen = readAll(stream, framer);
  CHECK_EQUAL(seen.size(), 4u);
  CHECK(seen[1].files == std::vector{mine});
  for (const Seen& entry : seen) CHECK(!entry.stray);
}

void aMessageThatContinuesCounts() {
  const Bytes whole = message(7, kCarries, Bytes(32));
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    Stream stream;
    FileDescriptor file = newFile();
    const ino_t mine = identity(file.get());
    Framer framer = newFramer();
    std::vector<Seen> seen;
    stream.send(first(whole, cut));
    auto before = readAll(stream, framer);
    CHECK(before.empty());
    stream.send(from(whole, cut) + message(8, kCarriesNot, Bytes(16)), one(std::move(file)));
    seen = readAll(stream, framer);
    CHECK_EQUAL(seen.size(), 2u);
    CHECK(seen[0].files == std::vector{mine});
    CHECK(!seen[1].stray);
  }
}

void refusesTheLastWhenNoneCan() {
  const int before = openFiles();
  Stream stream;
  stream.send(message(1, kCarriesNot, Bytes(16)));
  stream.send(message(2, kCarriesNot, Bytes(16)), one(newFile()));
  Framer framer = newFramer();
  const auto seen = readAll(stream, framer);
  CHECK_EQUAL(seen.size(), 2u);
  CHECK(!seen[0].stray);
  CHECK(seen[1].stray && seen[1].files.empty());
  CHECK_EQUAL(openFiles(), before);
}

/// The header that decides is cut at every byte: until it is whole, the earlier
/// message must wait.
void waitsForTheHeaderThatDecides() {
  for (const uint16_t last : {kCarries, kCarriesNot}) {
    for (std::size_t cut = 1; cut < sizeof(Header); ++cut) {
      FileDescriptor file = newFile();
      const ino_t mine = identity(file.get());
      const Bytes tail = message(3, last, Bytes(32));
      Framer framer = newFramer();
      Stream stream;
      stream.send(message(1, kCarriesNot, Bytes(16)) + message(2, kCarries, Bytes(32)) + first(tail, cut),
                  one(std::move(file)));
      auto seen = readAll(stream, framer);
      CHECK_EQUAL(seen.size(),
                  1u);  // message 1 can own nothing and is not the last
      stream.send(from(tail, cut));
      const auto rest = readAll(stream, framer, 1);
      CHECK_EQUAL(rest.size(), 2u);
      CHECK(rest[last == kCarries ? 1 : 0].files == std::vector{mine});
      CHECK(rest[last == kCarries ? 0 : 1].files.empty());
      CHECK(!rest[0].stray && !rest[1].stray);
    }
  }
}

void closesWhatIsTooMany() {
  const int before = openFiles();
  Stream stream;
  std::vector<FileDescriptor> many;
  for (uint32_t i = 0; i <= kMaxMessageFds; ++i) many.push_back(newFile());
  stream.send(message(1, kCarries, Bytes(32)), std::move(many));
  // The same by two sendings.
  const Bytes whole = message(2, kCarries, Bytes(32));
  std::vector<FileDescriptor> half;
  for (uint32_t i = 0; i < kMaxMessageFds; ++i) half.push_back(newFile());
  stream.send(first(whole, 10), std::move(half));
  stream.send(from(whole, 10), one(newFile()));
  Framer framer = newFramer();
  const auto seen = readAll(stream, framer);
  CHECK_EQUAL(seen.size(), 2u);
  for (const Seen& entry : seen) CHECK(entry.stray && entry.files.empty());
  CHECK_EQUAL(openFiles(), before);
}

/// While the first message waits, replies behind it are taken for as long as they come, however little may be held;
/// what is left keeps its order and its files.
void repliesBehindGiveTheirPlaceBack() {
  constexpr uint16_t kReply = kCommandDmaRead;
  constexpr std::size_t kHeld = 4096;
  Random random(20);
  for (int round = 0; round < 100; ++round) {
    const int before = openFiles();
    {
      Stream stream;
      std::vector<uint16_t> replies;
      std::vector<uint16_t> others;
      std::vector<ino_t> files;
      stream.send(message(0, kCarriesNot, Bytes(8)));
      Framer framer = newFramer();
      auto [size, none] = stream.read(framer.room());
      framer.received(size, std::move(none));
      CHECK(framer.next().has_value());
      for (uint16_t id = 1; id < 200; ++id) {
        if (random.below(10) != 0) {
          replies.push_back(id);
          stream.send(message(id, kReply, Bytes(random.below(600))));
          continue;
        }
        others.push_back(id);
        const bool carrier = random.below(2) == 0;
        FileDescriptor file = newFile();
        files.push_back(carrier ? identity(file.get()) : 0);
        const Bytes bytes = message(id, carrier ? kCarries : kCarriesNot, Bytes(random.below(40)));
        if (carrier) {
          stream.send(bytes, one(std::move(file)));
        } else {
          stream.send(bytes);
        }
      }
      std::vector<uint16_t> taken;
      while (!stream.empty()) {
        const auto room = framer.roomBehind(kHeld);
        CHECK(!room.empty());
        auto [more, fds] = stream.read(room.first(std::min<std::size_t>(room.size(), 1 + random.below(900))));
        framer.received(more, std::move(fds));
        while (const auto reply = framer.takeBehind([](const Header& header) { return header.command == kReply; })) {
          CHECK(reply->fds.empty() && !reply->strayFds);
          taken.push_back(reply->header.id);
        }
      }
      CHECK(taken == replies);
      framer.consume();
      std::vector<Seen> seen;
      takeAll(framer, seen);
      CHECK_EQUAL(seen.size(), others.size());
      for (std::size_t i = 0; i < seen.size(); ++i) {
        CHECK_EQUAL(seen[i].header.id, others[i]);
        CHECK(seen[i].files == (files[i] == 0 ? std::vector<ino_t>() : std::vector{files[i]}));
        CHECK(!seen[i].stray);
      }
      CHECK(framer.atBoundary());
    }
    CHECK_EQUAL(openFiles(), before);
  }
}

/// Of this thread, nanoseconds.
int64_t processorTime() {
  timespec time{};
  CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

/// Fills what may be held behind a message with replies, and with commands that each brought a descriptor; takes the
/// replies; and once again, after the first ones have given their place back. Returns how long that took.
int64_t timeOfHeld(std::size_t most) {
  constexpr uint16_t kReply = kCommandDmaRead;
  const int64_t start = processorTime();
  Framer framer = newFramer();
  const auto receive = [&framer](std::span<std::byte> room, const Bytes& bytes, bool fd) {
    CHECK(room.size() >= bytes.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    std::vector<ForeignFd> fds;
    // None that could be closed, and none that counts: it is unwelcome, and has to find its message all the same.
    if (fd) fds.emplace_back();
    framer.received(bytes.size(), std::move(fds), !fd);
  };
  receive(framer.room(), message(0, kCarriesNot), false);
  CHECK(framer.next().has_value());
  const Bytes reply = message(1, kReply);
  const Bytes command = message(2, kCarries);
  std::size_t taken = 0;
  for (int times = 0; times < 2; ++times) {
    for (bool replies = true;; replies = !replies) {
      const auto room = framer.roomBehind(most);
      if (room.size() < sizeof(Header)) break;
      receive(room, replies ? reply : command, !replies);
    }
    while (framer.takeBehind([](const Header& header) { return header.command == kReply; })) ++taken;
  }
  // All of the second half, and half of the place that the first one gave back.
  const std::size_t places = most / sizeof(Header) - 1;
  CHECK(taken >= places / 2 + places / 4 && taken <= places / 2 + places / 4 + 2);
  framer.consume();
  std::vector<Seen> seen;
  takeAll(framer, seen);
  CHECK(seen.size() >= places / 2 + places / 4 - 2);
  for (const Seen& entry : seen) CHECK(entry.header.command == kCarries && entry.stray);
  return processorTime() - start;
}

/// What it costs to hold a message does not depend on how many are held.
void holdingIsLinear() {
  constexpr std::size_t kHeld = std::size_t{1} << 20;
  int64_t few = INT64_MAX;
  for (int sample = 0; sample < 5; ++sample) few = std::min(few, timeOfHeld(kHeld / 16));
  int64_t many = INT64_MAX;
  for (int sample = 0; sample < 3; ++sample) many = std::min(many, timeOfHeld(kHeld));
  std::printf("held messages: %lld us for 1/16, %lld us\n", static_cast<long long>(few / 1000),
              static_cast<long long>(many / 1000));
  CHECK(many < 16 * 4 * few);
}

/// A message behind the first one ends the line: those in front keep their files, those behind it are closed.
void whatIsBehindTheEndIsDropped() {
  constexpr uint16_t kReply = kCommandDmaRead;
  const int before = openFiles();
  {
    Framer framer = newFramer();
    Stream stream;
    FileDescriptor file = newFile();
    const ino_t mine = identity(file.get());
    stream.send(message(0, kCarriesNot, Bytes(8)));
    stream.send(message(1, kReply, Bytes(8)));
    stream.send(message(2, kCarries, Bytes(32)), one(std::move(file)));
    stream.send(message(3, kReply, Bytes(8)));
    stream.send(message(4, kCarries, Bytes(32)), one(newFile()));
    // Whose these are is not known yet.
    stream.send(first(message(5, kCarries, Bytes(32)), 9), one(newFile()));
    const auto read = [&](std::span<std::byte> room) {
      auto [size, fds] = stream.read(room);
      framer.received(size, std::move(fds));
    };
    const auto reply = [](const Header& header) { return header.command == kReply; };
    read(framer.room());
    CHECK(framer.next().has_value());
    while (!stream.empty()) read(framer.roomBehind(4096));
    CHECK_EQUAL(framer.takeBehind(reply)->header.id, 1u);
    CHECK_EQUAL(framer.takeBehind(reply)->header.id, 3u);
    framer.endBeforeTaken();
    CHECK(!framer.takeBehind(reply).has_value());
    framer.consume();
    std::vector<Seen> seen;
    takeAll(framer, seen);
    CHECK_EQUAL(seen.size(), 1u);
    CHECK(seen[0].header.id == 2 && seen[0].files == std::vector{mine} && !seen[0].stray);
    CHECK(framer.atBoundary());
    CHECK_EQUAL(openFiles(), before);
  }
}

void sizesThatAreNone() {
  Stream stream;
  for (const uint32_t size : {0u, 15u, kMost + 1, UINT32_MAX}) {
    Bytes bytes;
    append(bytes, encoded(Header{9, kCarriesNot, size, 0, 0}));
    stream.send(std::move(bytes));
  }
  Framer framer = newFramer();
  const auto seen = readAll(stream, framer, 5);
  CHECK_EQUAL(seen.size(), 4u);
  for (const Seen& entry : seen) CHECK(entry.badSize && entry.body.empty());
}

void holdsTheLargestMessage() {
  Bytes body(kMost - sizeof(Header));
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = std::byte(i * 31 >> 3);
  Stream stream;
  stream.send(message(1, kCarriesNot, Bytes(3)));
  stream.send(message(2, kCarriesNot, body));
  stream.send(message(3, kCarriesNot, Bytes(5)));
  Framer framer = newFramer();
  const auto seen = readAll(stream, framer, 4000);
  CHECK_EQUAL(seen.size(), 3u);
  CHECK(seen[1].body == body);
  CHECK(framer.atBoundary());
  CHECK(framer.room().size() <= mdev::InputBuffer::kInitialSize);
}

/// A buffer full of messages, each of which may be the owner, until the header behind them is there: its last bytes
/// have no place yet.
void waitsForAHeaderBehindAFullBuffer() {
  constexpr std::size_t kFull = mdev::InputBuffer::kInitialSize;
  const Bytes map = message(1, kCarries, Bytes(32));
  for (std::size_t cut = 1; cut < sizeof(Header); ++cut) {
    Bytes burst;
    while (burst.size() + 2 * map.size() + cut <= kFull) append(burst, map);
    append(burst, message(2, kCarriesNot, Bytes(kFull - cut - burst.size() - sizeof(Header))));
    const std::size_t count = burst.size() / map.size() + 1;
    CHECK_EQUAL(burst.size() + cut, kFull);
    FileDescriptor file = newFile();
    const ino_t mine = identity(file.get());
    Stream stream;
    stream.send(std::move(burst));
    stream.send(Bytes(map), one(std::move(file)));
    Framer framer = newFramer();
    const auto seen = readAll(stream, framer);
    CHECK(seen.size() >= count);
    CHECK(seen.back().files == std::vector{mine});
    for (const Seen& entry : seen) CHECK(!entry.stray);
    CHECK(framer.atBoundary());
  }
}

/// Whatever comes, there is place for more of it, and never for much more than one message, or the first 64 KiB.
void theBufferIsBounded() {
  Random random(11);
  std::size_t mostOfLarge = 0;
  std::size_t mostOfSmall = 0;
  for (int round = 0; round < 60; ++round) {
    Framer framer = newFramer();
    Stream stream;
    const bool large = round % 3 == 0;
    if (!large) {
      // The worst: a full buffer of messages that have to wait, and fds with every byte of the next header.
      Bytes burst;
      while (burst.size() + 100 <= mdev::InputBuffer::kInitialSize) append(burst, message(1, kCarries, Bytes(32)));
      const std::size_t rest = mdev::InputBuffer::kInitialSize - 1 - random.below(15) - burst.size();
      append(burst, message(1, kCarriesNot, Bytes(rest - sizeof(Header))));
      stream.send(std::move(burst));
      for (const std::byte byte : message(1, kCarries, Bytes(32))) stream.send(Bytes(1, byte), one(newFile()));
    }
    std::size_t left = large ? 3 << 20 : 200'000;
    while (left > 0) {
      const std::size_t size =
          large && random.chance(40) ? kMost - sizeof(Header) - random.below(3) : random.below(4) * 16;
      const Bytes whole = message(1, random.chance(80) ? kCarries : kCarriesNot, Bytes(size));
      left -= std::min(left, whole.size());
      // fds wherever they hurt: with pieces that end inside a header, one byte after the other.
      std::size_t at = 0;
      while (at < whole.size()) {
        const std::size_t piece = at < sizeof(Header) || !large ? 1 + random.below(8) : whole.size() - at;
        const std::size_t end = std::min(whole.size(), at + piece);
        stream.send(
            Bytes(whole.begin() + static_cast<std::ptrdiff_t>(at), whole.begin() + static_cast<std::ptrdiff_t>(end)),
            random.chance(large ? 80 : 4) ? one(newFile()) : std::vector<FileDescriptor>());
        at = end;
      }
    }
    std::size_t& most = large ? mostOfLarge : mostOfSmall;
    std::vector<Seen> seen;
    while (!stream.empty()) {
      const auto room = framer.room();
      CHECK(!room.empty());
      most = std::max(most, framer.held() + room.size());
      // Asking does not make it grow.
      CHECK_EQUAL(framer.room().size(), room.size());
      auto [size, fds] = stream.read(room);
      framer.received(size, std::move(fds));
      takeAll(framer, seen);
      seen.clear();
    }
    CHECK(framer.atBoundary());
  }
  CHECK(mostOfLarge >= kMost);
  CHECK(mostOfLarge <= kMost + 2 * sizeof(Header));
  // A buffer that is full of messages takes the header behind them, too, and no more.
  CHECK(mostOfSmall > mdev::InputBuffer::kInitialSize);
  CHECK(mostOfSmall <= mdev::InputBuffer::kInitialSize + 2 * sizeof(Header));
}

/// Unwelcome fds are gone at once, and the message that would have been given them is refused.
void dropsWhatIsNotWelcome() {
  const int before = openFiles();
  const Bytes whole = message(1, kCarries, Bytes(32));
  Stream stream;
  stream.send(first(whole, 5), one(newFile()));
  Framer framer = newFramer();
  auto [size, fds] = stream.read(framer.room());
  CHECK_EQUAL(fds.size(), 1u);
  framer.received(size, std::move(fds), false);
  CHECK_EQUAL(openFiles(), before);
  stream.send(from(whole, 5) + message(2, kCarries, Bytes(32)));
  const auto seen = readAll(stream, framer);
  CHECK_EQUAL(seen.size(), 2u);
  CHECK(seen[0].stray && seen[0].files.empty());
  CHECK(!seen[1].stray);
}

// --- Every sender that is to be understood, at every cut ---

struct Sent {
  uint16_t command;
  Bytes bytes;
  std::vector<ino_t> files;
};

/// Random messages, cut into segments at random. The fds of a message go with
/// segments that begin inside it and reach into no later message that could
/// carry them: what a sender does that sends a message with fds by calls of its
/// own, whole or in parts, with plain messages before or behind.
void everyCutGivesEveryMessageItsFiles() {
  Random random(20261120);
  for (int round = 0; round < 3000; ++round) {
    Framer framer = newFramer();
    std::vector<Sent> sent;
    Stream stream;
    // Long messages make the buffer move what it holds.
    const bool large = random.chance(20);
    const uint64_t count = 1 + random.below(8);
    for (uint16_t id = 0; id < count; ++id) {
      const uint16_t command = random.chance(60) ? kCarries : kCarriesNot;
      sent.push_back({command,
                      message(id, command, Bytes(large ? random.below(50000) : random.below(4) * 16, std::byte(id))),
                      {}});
    }
    for (std::size_t at = 0; at < sent.size(); ++at) {
      Sent& entry = sent[at];
      std::size_t begin = 0;
      while (begin < entry.bytes.size()) {
        std::size_t end = random.chance(40) ? entry.bytes.size() : begin + 1 + random.below(entry.bytes.size() - begin);
        Bytes segment(entry.bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                      entry.bytes.begin() + static_cast<std::ptrdiff_t>(end));
        std::vector<FileDescriptor> fds;
        if (entry.command == kCarries && entry.files.size() + 3 <= kMaxMessageFds && random.chance(50)) {
          for (uint64_t n = 1 + random.below(3); n > 0; --n) {
            fds.push_back(newFile());
            entry.files.push_back(identity(fds.back().get()));
          }
          // Plain messages may follow in the same call.
          if (end == entry.bytes.size() && at + 1 < sent.size() && sent[at + 1].command == kCarriesNot &&
              random.chance(50)) {
            append(segment, sent[at + 1].bytes);
            sent[++at].files = {};
            begin = end;
            stream.send(std::move(segment), std::move(fds));
            break;
          }
        }
        stream.send(std::move(segment), std::move(fds));
        begin = end;
      }
    }
    const std::size_t most = random.chance(30) ? SIZE_MAX : 1 + random.below(large ? 40000 : 80);
    const auto seen = readAll(stream, framer, most);
    CHECK_EQUAL(seen.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      CHECK_EQUAL(seen[i].header.id, i);
      CHECK(!seen[i].stray);
      CHECK(seen[i].files == sent[i].files);
    }
  }
}

/// Any bytes and any fds: nothing is lost, nothing is kept.
void hostileStreamsLeaveNothingBehind() {
  const int before = openFiles();
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    Framer framer = newFramer();
    Stream stream;
    for (uint64_t n = random.below(20); n > 0; --n) {
      Bytes bytes = message(1, random.chance(50) ? kCarries : kCarriesNot, Bytes(random.below(3) * 8));
      if (random.chance(20)) bytes[random.below(bytes.size())] = std::byte(random.below(256));
      if (random.chance(30)) bytes.resize(1 + random.below(bytes.size()));
      std::vector<FileDescriptor> fds;
      if (random.chance(40)) {
        for (uint64_t k = 1 + random.below(20); k > 0; --k) fds.push_back(newFile());
      }
      stream.send(std::move(bytes), std::move(fds));
    }
    std::vector<Seen> seen;
    while (!stream.empty()) {
      const auto room = framer.room();
      auto [size, fds] = stream.read(room.first(std::min<std::size_t>(room.size(), 1 + random.below(60))));
      framer.received(size, std::move(fds));
      takeAll(framer, seen);
      if (!seen.empty() && seen.back().badSize && seen.back().header.size > kMost) break;
    }
  }
  CHECK_EQUAL(openFiles(), before);
}

}  // namespace

int main() {
  belongsToTheLastMessageOfTheRead();
  goesBackToTheNearestThatCan();
  aMessageThatContinuesCounts();
  refusesTheLastWhenNoneCan();
  waitsForTheHeaderThatDecides();
  closesWhatIsTooMany();
  repliesBehindGiveTheirPlaceBack();
  holdingIsLinear();
  whatIsBehindTheEndIsDropped();
  sizesThatAreNone();
  holdsTheLargestMessage();
  waitsForAHeaderBehindAFullBuffer();
  theBufferIsBounded();
  dropsWhatIsNotWelcome();
  everyCutGivesEveryMessageItsFiles();
  hostileStreamsLeaveNothingBehind();
}
