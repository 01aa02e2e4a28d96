// clang-format off
// sources: vfio_user/*.cc transport/input_buffer.cc transport/output_queue.cc transport/socket_io.cc core/*.cc registers/*.cc irq/*.cc memory/*.cc base/*.cc
// sanitize: address,undefined
// clang-format on
//
// The file descriptors that a client brings: as many as Linux delivers arrive where they belong, and those of a message
// that is refused, dropped or never served are closed, message by message.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <vector>

#include "vfio_user_bench.h"

using namespace vfio_user_test;

namespace {

constexpr uint32_t kMsix = 2;
constexpr uint32_t kVectors = 2048;
constexpr uint32_t kAssign = 0x24;  // eventfds, trigger

FileDescriptor newEventfd() { return FileDescriptor(::eventfd(0, EFD_CLOEXEC)); }

std::vector<FileDescriptor> many(std::size_t count, const std::function<FileDescriptor()>& make) {
  std::vector<FileDescriptor> fds;
  while (fds.size() < count) fds.push_back(make());
  return fds;
}

Bytes setIrqs(uint16_t id, uint32_t flags, uint32_t start, uint32_t count, uint32_t index = kMsix) {
  return message(id, kCommandSetIrqs, SetIrqsBody{sizeof(SetIrqsBody), flags, index, start, count});
}

struct ManyVectors : Bench {
  explicit ManyVectors(bool negotiate = true) : Bench(negotiate) { core->interrupts().setCount(kMsix, kVectors); }
  /// In pieces; some of the descriptors with each, all in order.
  void inPieces(Random& random, const Bytes& bytes, std::vector<FileDescriptor> fds) {
    std::size_t given = 0;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = random.chance(30) ? bytes.size() - at : 1 + random.below(bytes.size() - at);
      const bool last = at + size == bytes.size();
      const std::size_t count = last ? fds.size() - given : random.below(fds.size() - given + 1);
      std::vector<FileDescriptor> part;
      for (std::size_t n = 0; n < count; ++n) part.push_back(std::move(fds[given++]));
      transport->input.send(Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                  bytes.begin() + static_cast<std::ptrdiff_t>(at + size)),
                            std::move(part));
      at += size;
      if (random.chance(50)) transport->round(SIZE_MAX);
    }
    transport->runDry();
  }
};

/// Cloud Hypervisor's way: the eventfds of all vectors at once. Each is its vector's.
void asManyAsLinuxDelivers() {
  Random random(30);
  {
    // The first interrupt of a process opens what signals them all.
    ManyVectors bench;
    CHECK_EQUAL(bench.errorOf(setIrqs(1, kAssign, 0, 1), one(newEventfd())), 0u);
    bench.core->interrupts().table(kMsix)->trigger(0);
  }
  const int before = openFiles();
  for (int round = 0; round < 60; ++round) {
    ManyVectors bench;
    const uint32_t count = round < 4 ? kMostMessageFds : 1 + static_cast<uint32_t>(random.below(kMostMessageFds));
    const uint32_t start = static_cast<uint32_t>(random.below(kVectors - count + 1));
    std::vector<FileDescriptor> ours;
    std::vector<FileDescriptor> theirs;
    for (uint32_t n = 0; n < count; ++n) {
      theirs.push_back(newEventfd());
      ours.emplace_back(::dup(theirs.back().get()));
    }
    const int open = openFiles();
    bench.inPieces(random, setIrqs(1, kAssign, start, count), std::move(theirs));
    CHECK_EQUAL(openFiles(), open);
    const auto list = bench.replies();
    CHECK_EQUAL(list.size(), 1u);
    CHECK_EQUAL(list[0].header.error, 0u);
    for (const uint32_t n : {uint32_t{0}, count / 2, count - 1}) {
      bench.core->interrupts().table(kMsix)->trigger(start + n);
      uint64_t times = 0;
      CHECK(::read(ours[n].get(), &times, sizeof times) == sizeof times && times >= 1);
    }
    CHECK_EQUAL(bench.errorOf(setIrqs(2, kAssign, start, count)), 0u);
    CHECK_EQUAL(openFiles(), open - static_cast<int>(count));
  }
  CHECK_EQUAL(openFiles(), before);
}

/// One more than Linux delivers at once, by two sendings: refused, and all are closed.
void oneMoreIsRefused() {
  ManyVectors bench;
  const int before = openFiles();
  const Bytes whole = setIrqs(1, kAssign, 0, kMostMessageFds + 1);
  bench.ask(Bytes(whole.begin(), whole.begin() + 20), many(kMostMessageFds, newEventfd));
  CHECK_EQUAL(bench.errorOf(Bytes(whole.begin() + 20, whole.end()), one(newEventfd())), static_cast<uint32_t>(EINVAL));
  CHECK_EQUAL(openFiles(), before);
}

/// A message that is not served well, whatever it is.
Bytes refused(Random& random, std::size_t fds) {
  const auto count = static_cast<uint32_t>(fds);
  switch (random.below(12)) {
    case 0:  // another number of vectors
      return setIrqs(1, kAssign, 0, count + 1);
    case 1:  // beyond the last one
      return setIrqs(1, kAssign, kVectors - count + 1, count);
    case 2:  // no such index
      return setIrqs(1, kAssign, 0, count, 77);
    case 3:  // data of another kind
      return setIrqs(1, 0x21, 0, count);
    case 4:  // short
      return message(1, kCommandSetIrqs, Bytes(random.below(sizeof(SetIrqsBody))));
    case 5:  // masked by VFIO
      return setIrqs(1, 0x0c, 0, count);
    case 6:  // no map
      return message(1, kCommandDmaMap, Bytes(random.below(sizeof(DmaMapBody))));
    case 7:  // no file that may be mapped, or too many
      return message(1, kCommandDmaMap, DmaMapBody{sizeof(DmaMapBody), 3, 0, 0x1000, 0x1000});
    case 8:  // wrong rights
      return message(1, kCommandDmaMap, DmaMapBody{sizeof(DmaMapBody), 0x10, 0, 0x1000, 0x1000});
    case 9:  // what carries none
      return regionRead(1, 0, 4);
    case 10:
      return message(1, static_cast<uint16_t>(20 + random.below(100)), Bytes(random.below(100)));
    default:  // no command
      return message(1, kCommandSetIrqs, Bytes(20), kTypeReply);
  }
}

FileDescriptor anyFile(Random& random) {
  switch (random.below(4)) {
    case 0:
      return newEventfd();
    case 1:
      return newFile();
    case 2:
      return FileDescriptor(::open("/dev/null", O_RDWR | O_CLOEXEC));
    default:
      return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
}

std::size_t howMany(Random& random) {
  const std::array<std::size_t, 5> counts{1, 2, 16, 17, kMostMessageFds};
  return random.chance(50) ? counts[random.below(counts.size())] : 1 + random.below(40);
}

/// After each refused message, not only in the end: nothing of it is open.
void nothingOfARefusedMessageStays() {
  Random random(31);
  for (int round = 0; round < 20; ++round) {
    ManyVectors bench;
    // Something that works: it is not to be lost either.
    CHECK_EQUAL(bench.errorOf(setIrqs(1, kAssign, 2000, 4), many(4, newEventfd)), 0u);
    for (int n = 0; n < 40; ++n) {
      const int before = openFiles();
      const std::size_t count = howMany(random);
      const Bytes bytes = refused(random, count);
      // An eventfd for each vector would be no mistake, were the number right: it never is.
      bench.inPieces(random, bytes, many(count, [&] { return anyFile(random); }));
      CHECK(bench.transport->open());
      const auto list = bench.replies();
      CHECK_EQUAL(list.size(), 1u);
      CHECK_EQUAL(list[0].header.flags, kTypeReply | kError);
      CHECK_EQUAL(openFiles(), before);
    }
  }
}

/// A client that goes, or is cut off, with messages that bring descriptors and are never served.
void leaveUnserved(Random& random) {
  ManyVectors bench(random.chance(80));
  const uint64_t state = random.below(4);
  // Behind a message that the handler has not answered.
  if (state != 0) {
    bench.handler->later = true;
    bench.ask(message(1, kGetInfo, Bytes(16)));
  }
  for (uint64_t n = random.below(6); n > 0 && bench.transport->open(); --n) {
    const std::size_t count = howMany(random);
    const Bytes bytes =
        random.chance(50) ? refused(random, count) : setIrqs(1, kAssign, 0, static_cast<uint32_t>(count));
    bench.inPieces(random, bytes, many(count, [&] { return anyFile(random); }));
  }
  // The last one is cut short.
  if (random.chance(50)) {
    const Bytes bytes = setIrqs(1, kAssign, 0, 3);
    bench.ask(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(1 + random.below(30))),
              many(3, newEventfd));
  }
  bench.handler->later = false;
  switch (random.below(5)) {
    case 0:
      bench.transport->hangUp();
      break;
    case 1:
      bench.connection->finish("the server says so");
      bench.transport->runDry();
      break;
    case 2:
      // A reply to nothing ends the line, or the connection.
      bench.ask(message(9, kCommandDmaRead, Bytes(16), kTypeReply), many(random.below(3), newFile));
      bench.connection->refuse(EIO);
      bench.transport->runDry();
      break;
    case 3:
      bench.connection->refuse(EIO);
      bench.transport->runDry();
      bench.core->clientGone();
      break;
    default:
      bench.connection->close("by the server");
      break;
  }
  bench.transport->hangUp();
}

/// In every state of a connection.
void nothingOfAnUnservedMessageStays() {
  Random random(32);
  const int before = openFiles();
  for (int round = 0; round < 300; ++round) {
    leaveUnserved(random);
    CHECK_EQUAL(openFiles(), before);
  }
}

/// However many messages with descriptors come behind one that waits: the process keeps some for others.
void whatIsHeldIsBounded() {
  const int before = openFiles();
  ManyVectors bench;
  bench.handler->later = true;
  bench.ask(message(1, kGetInfo, Bytes(16)));
  constexpr int kMessages = 20;
  int sent = 0;
  for (int n = 0; n < kMessages; ++n) {
    bench.transport->input.send(setIrqs(2, kAssign, 0, 200), many(200, newEventfd));
    sent += 200;
  }
  for (int n = 0; n < 100; ++n) bench.transport->round();
  CHECK(!bench.transport->input.empty());
  // Those that were not read are the test's own.
  const auto unread = [&] {
    int count = 0;
    Stream& input = bench.transport->input;
    Bytes room(4096);
    while (!input.empty()) count += static_cast<int>(input.read(room).second.size());
    return count;
  };
  bench.handler->later = false;
  bench.connection->refuse(EBUSY);
  bench.transport->runDry();
  CHECK_EQUAL(bench.replies().size(), kMessages + 1u);
  CHECK_EQUAL(openFiles(), before + 200);

  bench.handler->later = true;
  bench.ask(message(1, kGetInfo, Bytes(16)));
  for (int n = 0; n < kMessages; ++n) bench.transport->input.send(setIrqs(2, kAssign, 0, 200), many(200, newEventfd));
  for (int n = 0; n < 100; ++n) bench.transport->round();
  CHECK(sent - unread() < static_cast<int>(Framer::kMaxHeldFds + kMostMessageFds));
  bench.transport->hangUp();
  CHECK_EQUAL(openFiles(), before);
}

}  // namespace

int main() {
  asManyAsLinuxDelivers();
  oneMoreIsRefused();
  nothingOfARefusedMessageStays();
  nothingOfAnUnservedMessageStays();
  whatIsHeldIsBounded();
}
