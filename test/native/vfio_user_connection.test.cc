// clang-format off
// sources: vfio_user/*.cc transport/input_buffer.cc transport/output_queue.cc transport/socket_io.cc core/*.cc registers/*.cc irq/*.cc memory/*.cc base/*.cc
// sanitize: address,undefined
// clang-format on
#include <fcntl.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>

#include "support/lingering_socket.h"
#include "vfio_user/connection.h"
#include "vfio_user_bench.h"
#include "vfio_user_support.h"

using namespace mdev;
using namespace mdev::vfio_user;
using namespace vfio_user_test;
using mdev::test::LingeringSocket;

namespace {

void onlyVersionComesFirst() {
  for (const uint16_t command : {kCommandRegionRead, kCommandDmaMap, kGetInfo, uint16_t{999}}) {
    Bench bench(false);
    CHECK_EQUAL(bench.errorOf(message(5, command, Bytes(64))), static_cast<uint32_t>(EINVAL));
    CHECK(bench.handler->isClosed);
    CHECK_EQUAL(bench.handler->messages, 0);
  }
  // A long first message is refused before it is there.
  Bench bench(false);
  Bytes bytes;
  append(bytes, encoded(Header{1, kCommandVersion, kMaxFirstMessage + 1, 0, 0}));
  CHECK_EQUAL(bench.errorOf(std::move(bytes)), static_cast<uint32_t>(EINVAL));
  CHECK(bench.handler->isClosed);
}

void regionsOfEveryLength() {
  Bench bench;
  Random random(3);
  for (std::size_t i = 0; i < kRegionSize; ++i) bench.port->memory[i] = std::byte(random.below(256));
  for (int n = 0; n < 200; ++n) {
    const uint32_t count =
        static_cast<uint32_t>(random.chance(50) ? random.below(70000) : random.below(kMaxTransfer + 1));
    const uint64_t offset = random.below(kRegionSize - count + 1);
    if (random.chance(50)) {
      bench.ask(regionRead(1, offset, count));
      const auto list = bench.replies();
      CHECK_EQUAL(list.size(), 1u);
      CHECK_EQUAL(list[0].header.flags, kTypeReply);
      const auto front = decode<RegionBody>(list[0].body);
      CHECK(front.offset == offset && front.count == count && list[0].body.size() == sizeof front + count);
      for (uint32_t i = 0; i < count; ++i) {
        // The trapped page reads zeros: the handler puts nothing into the
        // mailbox.
        const std::byte expected =
            (offset + i) / 4096 == kTrapPage / 4096 ? std::byte{} : bench.port->memory[offset + i];
        CHECK(list[0].body[sizeof front + i] == expected);
      }
    } else {
      Bytes data(count);
      for (std::byte& byte : data) byte = std::byte(random.below(256));
      Bytes expected = bench.port->memory;
      for (uint32_t i = 0; i < count; ++i) {
        if ((offset + i) / 4096 != kTrapPage / 4096) expected[offset + i] = data[i];
      }
      CHECK_EQUAL(bench.errorOf(regionWrite(2, offset, data)), 0u);
      CHECK(bench.port->memory == expected);
    }
  }
}

void rangesAreCheckedWhole() {
  Bench bench;
  const auto refused = static_cast<uint32_t>(EINVAL);
  CHECK_EQUAL(bench.errorOf(regionRead(1, kRegionSize, 1)), refused);
  CHECK_EQUAL(bench.errorOf(regionRead(1, kRegionSize, 0)), 0u);
  CHECK_EQUAL(bench.errorOf(regionRead(1, UINT64_MAX, 256)), refused);
  CHECK_EQUAL(bench.errorOf(regionRead(1, 0, kMaxTransfer + 1)), refused);
  CHECK_EQUAL(bench.errorOf(regionRead(1, 0, 4, 9)), refused);
  CHECK_EQUAL(bench.errorOf(regionRead(1, 0, 4, UINT32_MAX)), refused);
  CHECK_EQUAL(bench.errorOf(regionRead(1, 0, 4, 5)), refused);
  CHECK_EQUAL(bench.errorOf(regionWrite(1, 0, Bytes(4), 1)),
              refused);  // a region that is read only
  // A write that ends behind the region changes nothing of it, however long it
  // is.
  bench.port->memory.assign(kRegionSize, std::byte{1});
  CHECK_EQUAL(bench.errorOf(regionWrite(1, kRegionSize - 300000, Bytes(300001, std::byte{2}))), refused);
  CHECK(bench.port->memory == Bytes(kRegionSize, std::byte{1}));
  // A count that is not what the message holds.
  for (const uint32_t count : {0u, 3u, 5u, UINT32_MAX}) {
    Bytes body;
    append(body, encoded(RegionBody{0, 0, count}));
    append(body, Bytes(4));
    CHECK_EQUAL(bench.errorOf(message(1, kCommandRegionWrite, body)), refused);
  }
  CHECK_EQUAL(bench.errorOf(message(1, kCommandRegionRead, Bytes(15))), refused);
}

void roundsAreBounded() {
  Bench bench;
  Bytes burst;
  for (uint16_t id = 0; id < 1000; ++id) append(burst, regionRead(id, 0, 4));
  bench.transport->input.send(std::move(burst));
  std::size_t answered = 0;
  for (int rounds = 0; answered < 1000; ++rounds) {
    CHECK(rounds < 5);
    bench.transport->round();
    const auto list = bench.replies();
    CHECK(list.size() <= Connection::kRoundMessages);
    for (const auto& reply : list) CHECK_EQUAL(reply.header.id, answered++);
  }
  // A large read takes a round for each 64 KiB; others are answered behind it.
  bench.transport->input.send(regionRead(1, 0, kMaxTransfer) + regionRead(2, 0, 4));
  int rounds = 0;
  while (bench.transport->round() == Turn::more) ++rounds;
  CHECK_EQUAL(rounds, 16);
  const auto list = bench.replies();
  CHECK_EQUAL(list.size(), 2u);
  CHECK_EQUAL(list[1].header.id, 2u);
}

void aClientThatDoesNotReadIsNotRead() {
  Bench bench;
  Bytes burst;
  for (uint16_t id = 0; id < 3000; ++id) append(burst, regionRead(id, 0, 2048));
  bench.transport->input.send(std::move(burst));
  for (int n = 0; n < 1000; ++n) bench.transport->round(SIZE_MAX, 0);
  // Neither what it has sent nor what it still sends is worked on beyond the limit.
  CHECK(bench.port->reads * 2048 <= Connection::kMaxOutput + Connection::kRoundBytes);
  CHECK(!bench.transport->input.empty());
  // It begins to read, slowly: everything comes, in order.
  while (!bench.transport->input.empty() || bench.transport->more) bench.transport->round(SIZE_MAX, 100000);
  for (int n = 0; n < 10; ++n) bench.transport->round();
  const auto list = bench.replies();
  CHECK_EQUAL(list.size(), 3000u);
  for (std::size_t i = 0; i < list.size(); ++i) CHECK_EQUAL(list[i].header.id, i);
}

/// One that broke the protocol is gone after some time, whether it has read what it is owed or not.
void aClientThatBrokeTheProtocolDoesNotStay() {
  const Bytes stranger = message(77, kCommandDmaRead, Bytes(16), kTypeReply);
  Bytes reads;
  for (uint16_t id = 0; id < 100; ++id) append(reads, regionRead(id, 0, 2048));
  {
    Bench bench;
    bench.transport->input.send(reads + stranger);
    for (int n = 0; n < 10; ++n) bench.transport->round(SIZE_MAX, 0);
    CHECK(bench.transport->open());
    CHECK(bench.transport->deadline == Connection::kFarewell);
    // It may take it slowly.
    bench.transport->round(SIZE_MAX, 1000);
    CHECK(bench.transport->open());
    bench.transport->overdue();
    CHECK(!bench.transport->open() && bench.handler->isClosed);
    CHECK_EQUAL(bench.handler->reason, "the client answered a request that it was not sent");
  }
  // Behind a message that waited, with more in front than is served to a client that does not read.
  Bench bench;
  bench.handler->later = true;
  Bytes burst = message(1, kGetInfo, Bytes(16));
  for (int n = 0; n < 4; ++n) append(burst, reads);
  bench.ask(burst + stranger);
  CHECK(bench.transport->deadline == Connection::kFarewell);
  bench.connection->refuse(EBUSY);
  for (int n = 0; n < 10; ++n) bench.transport->round(SIZE_MAX, 0);
  CHECK(bench.transport->open());
  bench.transport->overdue();
  CHECK(!bench.transport->open() && bench.handler->isClosed);
  // A client that does nothing wrong has all the time in the world.
  Bench good;
  good.transport->input.send(reads);
  for (int n = 0; n < 10; ++n) good.transport->round(SIZE_MAX, 0);
  CHECK(good.transport->deadline.count() == 0);
}

/// What takes time ends a round, not only JavaScript: interrupts of 2,048 vectors by one short message.
void roundsEndByTime() {
  constexpr uint32_t kVectors = 2048;
  constexpr uint32_t kLoopback = 0x21;  // no data, trigger
  Bench bench;
  bench.core->interrupts().setCount(2, kVectors);
  std::vector<FileDescriptor> eventfds;
  FileDescriptor eventfd(::eventfd(0, EFD_CLOEXEC));
  for (uint32_t vector = 0; vector < kVectors; vector += 16) {
    std::vector<FileDescriptor> fds;
    for (int n = 0; n < 16; ++n) fds.emplace_back(::dup(eventfd.get()));
    CHECK_EQUAL(bench.errorOf(message(1, kCommandSetIrqs, SetIrqsBody{20, 0x24, 2, vector, 16}), std::move(fds)), 0u);
  }
  Bytes burst;
  for (uint16_t id = 0; id < Connection::kRoundMessages; ++id) {
    append(burst, message(id, kCommandSetIrqs, SetIrqsBody{20, kLoopback, 2, 0, kVectors}));
  }
  bench.transport->input.send(std::move(burst));
  bench.transport->round();
  // However slow the machine is, 100 of them take longer than a round may.
  CHECK(bench.transport->more);
  CHECK(bench.replies().size() < 100);
  bench.transport->runDry();
}

/// A twin socket that was started goes with a connection that never begins.
void aRestoreThatFailsKeepsNoTwin() {
  std::vector<std::byte> saved;
  const auto made = [](bool& gone) {
    struct Twin : FakeTransport {
      explicit Twin(bool& flag) : gone(flag) {}
      ~Twin() override { gone = true; }
      bool& gone;
    };
    return std::make_unique<Twin>(gone);
  };
  {
    bool gone = false;
    Bench bench(false);
    bench.handler->onVersion = [&] { bench.connection->negotiated({.maxTransfer = 4096, .twin = made(gone)}); };
    bench.ask(message(1, kCommandVersion, Bytes(4)));
    bench.connection->suspend();
    bench.transport->runDry();
    CHECK(bench.connection->settled());
    HandoverWriter archive;
    bench.connection->save(archive);
    saved = archive.take();
  }
  for (const bool whole : {true, false}) {
    bool gone = false;
    {
      const auto core = std::make_shared<DeviceCore>();
      const auto handler = std::make_shared<Handler>();
      const auto connection = std::make_shared<Connection>(core, std::make_unique<FakeTransport>(), handler);
      std::vector<std::byte> bytes = saved;
      if (!whole) bytes.push_back({});
      HandoverReader reader(bytes, {});
      CHECK_EQUAL(connection->restore(reader, Agreement{.maxTransfer = 4096, .twin = made(gone)}), whole);
      // And then its own socket cannot be watched: it is not started.
    }
    CHECK(gone);
  }
}

void postedMessagesHaveNoReply() {
  Bench bench;
  bench.ask(regionWrite(1, 0, Bytes(4, std::byte{7}), 0, kNoReply) +
            regionWrite(2, kRegionSize, Bytes(4), 0, kNoReply) + message(3, kGetInfo, Bytes(16), kNoReply) +
            message(4, 77, {}, kNoReply) + regionRead(5, 0, 4, 0, kNoReply) +
            message(6, kCommandDmaMap, Bytes(3), kNoReply));
  CHECK(bench.replies().empty());
  CHECK(bench.port->memory[0] == std::byte{7});
  CHECK(bench.errorOf(regionRead(7, 0, 4)) == 0);
}

void postedWritesAreFlushedAtTheEndOfATurn() {
  Bench bench;
  Bytes burst;
  for (uint16_t id = 0; id < 64; ++id) append(burst, regionWrite(id, id * 64, Bytes(64, std::byte{1}), 0, kNoReply));
  bench.ask(burst);
  CHECK_EQUAL(bench.port->flushes, 1u);
  // What follows in the same turn may take long, or end everything.
  bench.ask(burst + regionRead(1, kTrapPage, 4) + burst + message(2, kGetInfo, Bytes(16)) + burst + message(3, 77));
  CHECK_EQUAL(bench.trap.accesses, 1);
  CHECK_EQUAL(bench.port->flushes, 4u);
  bench.trap.hook = [&] {
    // A write of the hook's own does not wait for the turn that it is in.
    CHECK_EQUAL(bench.core->write(0, 0, Bytes(64)), 0);
    CHECK_EQUAL(bench.port->unflushed, 0u);
    bench.connection->close("by a hook");
  };
  bench.ask(burst + regionRead(4, kTrapPage, 4) + burst);
  CHECK(bench.handler->isClosed);
  CHECK_EQUAL(bench.port->flushes, 6u);
}

void hooksMayCloseTheConnection() {
  for (const bool write : {false, true}) {
    Bench bench;
    bench.trap.hook = [&] { bench.connection->close("by a hook"); };
    // It crosses pages before and behind the trapped one, and others wait behind it.
    const uint64_t begin = kTrapPage - 5000;
    bench.ask((write ? regionWrite(1, begin, Bytes(200000, std::byte{9})) : regionRead(1, begin, 200000)) +
              regionRead(2, 0, 4));
    CHECK(bench.handler->isClosed);
    CHECK_EQUAL(bench.handler->reason, "by a hook");
    CHECK(bench.transport->output.empty());
    CHECK_EQUAL(bench.trap.accesses, 1);
    // The access under way may end; nothing new begins.
    CHECK(bench.port->memory[begin + Connection::kRoundBytes + 4096] == std::byte{});
  }
}

void hooksMayFail() {
  Bench bench;
  bench.trap.error = EIO;
  CHECK_EQUAL(bench.errorOf(regionRead(1, kTrapPage, 4)), static_cast<uint32_t>(EIO));
  CHECK_EQUAL(bench.errorOf(regionRead(1, 0, kMaxTransfer)), static_cast<uint32_t>(EIO));
  CHECK_EQUAL(bench.errorOf(regionRead(1, 0, 4)), 0u);
}

/// What goes wrong in the server's own code ends the connection, after everything that was answered before.
void aHandlerThatFailsEndsTheConnection() {
  {
    Bench bench;
    bench.handler->fails = true;
    bench.ask(regionRead(1, 0, 4) + message(2, kGetInfo, Bytes(16)) + regionRead(3, 0, 4));
    const auto list = bench.replies();
    CHECK_EQUAL(list.size(), 2u);
    CHECK_EQUAL(list[0].header.error, 0u);
    CHECK_EQUAL(list[1].header.error, static_cast<uint32_t>(EIO));
    CHECK(bench.handler->isClosed);
    CHECK(bench.handler->reason.find("failed") != std::string::npos);
  }
  Bench bench;
  bench.handler->failsRefused = true;
  bench.ask(message(1, 77, {}) + regionRead(2, 0, 4));
  CHECK_EQUAL(bench.replies().size(), 1u);
  CHECK(bench.handler->isClosed);
}

/// Nothing is kept for a message that may turn out to be the owner: before VERSION there is none.
void carriesNothingBeforeTheVersion() {
  Bench bench(false);
  const int before = openFiles();
  const Bytes version = message(1, kCommandVersion, Bytes(4));
  bench.ask(Bytes(version.begin(), version.begin() + 5), one(newFile()));
  CHECK_EQUAL(openFiles(), before);
  CHECK(bench.transport->open());
  // And the message is refused once it is there.
  CHECK_EQUAL(bench.errorOf(Bytes(version.begin() + 5, version.end())), static_cast<uint32_t>(EINVAL));
  CHECK(bench.handler->isClosed);

  // What is sent together with VERSION loses its fds too; VERSION itself did not carry them.
  Bench second(false);
  const int open = openFiles();
  FileDescriptor file = newFile();
  CHECK(::ftruncate(file.get(), 4096) == 0);
  second.ask(version + message(2, kCommandDmaMap, DmaMapBody{32, 3, 0, 0, 4096}), one(std::move(file)));
  CHECK_EQUAL(openFiles(), open);
  const auto list = second.replies();
  CHECK_EQUAL(list.size(), 2u);
  CHECK_EQUAL(list[0].header.error, 0u);
  CHECK_EQUAL(list[1].header.error, static_cast<uint32_t>(EINVAL));
  CHECK(!second.handler->isClosed);
}

/// Whoever still refers to a closed connection keeps none of the client's files.
void keepsNoFilesWhenClosed() {
  Bench bench;
  const int before = openFiles();
  const Bytes map = message(1, kCommandDmaMap, Bytes(32));
  bench.ask(map + Bytes(map.begin(), map.begin() + 5), one(newFile()));
  CHECK_EQUAL(openFiles(), before + 1);
  bench.connection->close("enough");
  CHECK_EQUAL(openFiles(), before);
}

/// One descriptor that does not let itself be closed, and more and more behind it.
void cutsOffWhoBringsMoreThanCanBeClosed() {
  const int before = openFiles();
  {
    LingeringSocket lingering;
    Bench bench;
    bench.transport->input.closer = bench.core->closer();
    bench.ask(message(1, kCommandDmaMap, DmaMapBody{32, 3, 0, 0, 4096}), one(lingering.take()));
    std::size_t sent = 1;
    for (; bench.transport->open(); sent += kMaxMessageFds) {
      CHECK(sent < FdCloser::kMaxWaiting + 2 * kMaxMessageFds);
      std::vector<FileDescriptor> fds;
      while (fds.size() < kMaxMessageFds) fds.push_back(newFile());
      bench.ask(message(1, kCommandDmaMap, DmaMapBody{32, 3, 0, 0, 4096}), std::move(fds));
    }
    CHECK(sent > FdCloser::kMaxWaiting);
    CHECK(bench.handler->isClosed);
    // Another device does not notice.
    Bench other;
    other.transport->input.closer = other.core->closer();
    CHECK_EQUAL(other.errorOf(message(1, kCommandDmaMap, DmaMapBody{32, 3, 0, 0, 4096}), one(newFile())),
                static_cast<uint32_t>(EINVAL));
    CHECK(other.transport->open());
    lingering.letGo();
    CHECK(FdCloser::drain(std::chrono::seconds(60)));
  }
  CHECK_EQUAL(openFiles(), before);
}

void laterMeansLater() {
  Bench bench(false);
  bench.handler->later = true;
  bench.ask(message(1, kCommandVersion, Bytes(4)) + message(2, kGetInfo, Bytes(16)));
  CHECK(bench.transport->output.empty());
  // Nobody holds the device yet: nothing more is read.
  CHECK(bench.connection->receiveRoom().empty());
  bench.handler->later = false;
  bench.handler->onVersion();
  bench.connection->answer(Bytes(4), {});
  bench.connection->answer(Bytes(4), {});
  bench.connection->refuse(EIO);
  bench.transport->runDry();
  const auto list = bench.replies();
  CHECK_EQUAL(list.size(), 2u);
  CHECK(list[0].header.id == 1 && list[0].body.size() == 4);
  CHECK_EQUAL(list[1].header.id, 2u);
}

void oversizeEndsTheConnection() {
  Bench bench;
  Bytes bytes;
  append(bytes, encoded(Header{4, kCommandRegionWrite, kMaxMessage + 1, 0, 0}));
  bench.ask(std::move(bytes) + regionRead(5, 0, 4));
  const auto list = bench.replies();
  CHECK_EQUAL(list.size(), 1u);
  CHECK_EQUAL(list[0].header.error, static_cast<uint32_t>(EINVAL));
  CHECK(bench.handler->isClosed);
}

// --- DMA by message, as a client sees it ---

class Request final : public MessageRequest {
 public:
  void finished(int error) override {
    if (onFinished) onFinished();
    results.push_back(error);
  }
  std::vector<int> results;
  std::function<void()> onFinished;
};

void dmaRequestsAndWrongAnswers() {
  struct Case {
    const char* what;
    std::function<Bytes(const Header&, const DmaBody&)> answer;
    bool closes;
    int result;
  };
  const auto reply = [](const Header& header, const DmaBody& body, uint64_t data, uint32_t flags = kTypeReply) {
    Bytes bytes;
    append(bytes, encoded(body));
    append(bytes, Bytes(data, std::byte{0x5a}));
    return message(header.id, header.command, bytes, flags);
  };
  const Case cases[] = {
      {"right", [&](auto& h, auto& b) { return reply(h, b, 4096); }, false, 0},
      {"error", [&](auto& h, auto&) { return message(h.id, h.command, Bytes{}, kTypeReply | kError); }, false, EFAULT},
      {"other id", [&](Header h, auto& b) { return ++h.id, reply(h, b, 4096); }, true, ECANCELED},
      {"other command", [&](Header h, auto& b) { return h.command = kCommandDmaWrite, reply(h, b, 4096); }, true,
       ECANCELED},
      {"other address", [&](auto& h, DmaBody b) { return ++b.address, reply(h, b, 4096); }, true, EFAULT},
      {"other count", [&](auto& h, DmaBody b) { return --b.count, reply(h, b, 4096); }, true, EFAULT},
      {"too short", [&](auto& h, auto& b) { return reply(h, b, 4095); }, true, EFAULT},
      {"too long", [&](auto& h, auto& b) { return reply(h, b, 4097); }, true, EFAULT},
      {"no body", [&](auto& h, auto&) { return message(h.id, h.command, Bytes{}, kTypeReply); }, true, EFAULT},
  };
  for (const Case& test : cases) {
    Bench bench;
    const auto request = std::make_shared<Request>();
    request->address = 0x1000;
    request->count = 4096;
    bench.core->dma()->messageDma()->submit(request);
    CHECK(bench.transport->woken);
    bench.transport->round();
    const auto sent = bench.replies();
    CHECK_EQUAL(sent.size(), 1u);
    CHECK_EQUAL(sent[0].header.command, kCommandDmaRead);
    CHECK_EQUAL(sent[0].header.flags, 0u);
    CHECK_EQUAL(sent[0].body.size(), 16u);
    bench.ask(test.answer(sent[0].header, decode<DmaBody>(sent[0].body)));
    if (bench.handler->isClosed != test.closes) std::fprintf(stderr, "case: %s\n", test.what);
    CHECK_EQUAL(bench.handler->isClosed, test.closes);
    CHECK(request->results == std::vector{test.result});
    if (test.result == 0) CHECK(request->data[0] == std::byte{0x5a} && request->data[4095] == std::byte{0x5a});
  }
  // A reply to nothing ends the connection; a reply of another kind is a bad
  // request.
  Bench bench;
  CHECK_EQUAL(bench.errorOf(message(1, kCommandSetIrqs, Bytes(20), kTypeReply)), static_cast<uint32_t>(EINVAL));
  bench.ask(message(1, kCommandDmaRead, Bytes(16), kTypeReply));
  CHECK(bench.handler->isClosed);
}

void lateRepliesAreDroppedOnce() {
  Bench bench;
  const auto request = std::make_shared<Request>();
  request->address = 0x1000;
  request->count = 64;
  const auto channel = bench.core->dma()->messageDma();
  channel->submit(request);
  bench.transport->round();
  const auto sent = bench.replies();
  channel->cancel(0x103f, 1);
  CHECK(request->results == std::vector{ECANCELED});
  Bytes body = sent[0].body;
  append(body, Bytes(64));
  const Bytes late = message(sent[0].header.id, kCommandDmaRead, body, kTypeReply);
  bench.ask(late);
  CHECK(!bench.handler->isClosed);
  bench.ask(late);
  CHECK(bench.handler->isClosed);
  CHECK_EQUAL(request->results.size(), 1u);
}

/// What the handler waits for may be DMA by message: its replies come behind the message that waits, and behind others.
void repliesAreServedWhileTheHandlerIsWaitedFor() {
  for (const bool finishesInTheReply : {false, true}) {
    Bench bench;
    struct Ending final : MessageRequest {
      void finished(int error) override {
        result = error;
        if (then) then();
      }
      int result = -1;
      std::function<void()> then;
    };
    const auto request = std::make_shared<Ending>();
    request->address = 0x1000;
    request->count = 60'000;
    if (finishesInTheReply) request->then = [&] { bench.connection->answer(Bytes(16), {}); };
    bench.core->dma()->messageDma()->submit(request);
    bench.transport->round();
    const auto sent = bench.replies();
    CHECK_EQUAL(sent.size(), 1u);
    Bytes body = sent[0].body;
    append(body, Bytes(60'000));
    const Bytes late = message(sent[0].header.id, kCommandDmaRead, body, kTypeReply);
    bench.handler->later = true;
    // The commands between them fill more than a buffer.
    Bytes burst = message(1, kGetInfo, Bytes(16));
    for (uint16_t id = 2; id < 100; ++id) append(burst, regionWrite(id, 0, Bytes(1000)));
    bench.ask(burst + late + regionRead(100, 0, 4));
    CHECK_EQUAL(request->result, 0);
    if (!finishesInTheReply) {
      CHECK(bench.transport->output.empty());
      bench.connection->answer(Bytes(16), {});
    }
    bench.transport->runDry();
    const auto list = bench.replies();
    CHECK_EQUAL(list.size(), 100u);
    for (uint16_t id = 1; id <= 100; ++id) CHECK_EQUAL(list[id - 1u].header.id, id);
    CHECK(!bench.handler->isClosed);
  }
}

/// A reply that breaks the protocol behind a message that waits ends the connection in its turn.
void aBrokenReplyEndsTheConnectionInItsTurn() {
  const Bytes stranger = message(77, kCommandDmaRead, Bytes(16), kTypeReply);
  for (const bool finishesInTheReply : {false, true}) {
    Bench bench;
    struct Ending final : MessageRequest {
      void finished(int error) override {
        results.push_back(error);
        if (then) then();
      }
      std::vector<int> results;
      std::function<void()> then;
    };
    const auto request = std::make_shared<Ending>();
    request->address = 0x1000;
    request->count = 64;
    if (finishesInTheReply) request->then = [&] { bench.connection->answer(Bytes(16), {}); };
    const auto channel = bench.core->dma()->messageDma();
    channel->submit(request);
    bench.transport->round();
    CHECK_EQUAL(bench.replies().size(), 1u);
    bench.handler->later = true;
    bench.ask(message(1, kGetInfo, Bytes(16)) + regionWrite(2, 0, Bytes(4, std::byte{7})) + stranger +
              regionWrite(3, 0, Bytes(4, std::byte{9})));
    // Nobody reads what could answer it.
    CHECK(request->results == std::vector{ECANCELED});
    channel->submit(request);
    CHECK(request->results == std::vector({ECANCELED, ECANCELED}));
    if (!finishesInTheReply) {
      CHECK(!bench.handler->isClosed && bench.transport->output.empty());
      CHECK(bench.connection->receiveRoom().empty() && !bench.connection->settled());
      bench.connection->answer(Bytes(16), {});
    }
    bench.transport->runDry();
    CHECK(bench.handler->isClosed);
    CHECK_EQUAL(bench.handler->reason, "the client answered a request that it was not sent");
    const auto list = bench.replies();
    CHECK_EQUAL(list.size(), 2u);
    CHECK(list[0].header.id == 1 && list[1].header.id == 2);
    CHECK(bench.port->memory[0] == std::byte{7});
  }
  // Behind more than one round serves.
  Bench bench;
  bench.handler->later = true;
  Bytes burst = message(1, kGetInfo, Bytes(16));
  constexpr uint16_t last = 2 * Connection::kRoundMessages + 1;
  for (uint16_t id = 2; id <= last; ++id) append(burst, regionWrite(id, 0, Bytes(4)));
  bench.ask(burst + stranger);
  bench.connection->refuse(EBUSY);
  bench.transport->runDry();
  CHECK(bench.handler->isClosed);
  CHECK_EQUAL(bench.replies().size(), last);
}

/// However much a client sends meanwhile, no more is held than one large message and the replies.
void whatIsHeldMeanwhileIsBounded() {
  Bench bench;
  bench.handler->later = true;
  bench.ask(message(1, kGetInfo, Bytes(16)));
  const Bytes block = regionWrite(2, 0, Bytes(50'000));
  for (int n = 0; n < 100; ++n) bench.transport->input.send(block);
  for (int n = 0; n < 1000; ++n) bench.transport->round();
  CHECK(!bench.transport->input.empty());
  CHECK(bench.connection->receiveRoom().empty());
  bench.handler->later = false;
  bench.connection->refuse(EBUSY);
  bench.transport->runDry();
  CHECK_EQUAL(bench.replies().size(), 101u);
}

/// However much a guest makes its device ask and give up: a client that answers late is waited for.
void unansweredRequestsWait() {
  Bench bench;
  const auto channel = bench.core->dma()->messageDma();
  const auto request = std::make_shared<Request>();
  request->count = 64;
  for (uint32_t n = 0; n < DmaMessenger::kMaxOwed + 100; ++n) {
    channel->submit(request);
    bench.transport->runDry();
    channel->cancelAll();
  }
  CHECK_EQUAL(request->results.size(), DmaMessenger::kMaxOwed + 100u);
  channel->submit(request);
  bench.transport->runDry();
  const auto asked = bench.replies();
  CHECK_EQUAL(asked.size(), std::size_t{DmaMessenger::kMaxOwed});
  CHECK(!bench.handler->isClosed);
  // One answer, and the next one goes out.
  Bytes answer;
  append(answer, encoded(DmaBody{0, 64}));
  append(answer, Bytes(64));
  bench.ask(message(asked[0].header.id, kCommandDmaRead, answer, kTypeReply));
  CHECK_EQUAL(bench.replies().size(), 1u);
  CHECK(!bench.handler->isClosed);
}

/// Work of a client that has broken the protocol ends before its requests do: the device must not take their end for a
/// fault, which the next client would find.
void workEndsBeforeItsRequests() {
  for (const bool reads : {false, true}) {
    Bench bench;
    const auto request = std::make_shared<Request>();
    request->count = 64;
    std::size_t goneBefore = 0;
    request->onFinished = [&] { goneBefore = bench.port->gone; };
    bench.core->dma()->messageDma()->submit(request);
    bench.transport->runDry();
    // A reply to nothing, while the client takes what it is sent, or does not.
    bench.transport->input.send(message(77, kCommandDmaRead, Bytes(16), kTypeReply));
    while (request->results.empty()) bench.transport->round(SIZE_MAX, reads ? SIZE_MAX : 0);
    CHECK_EQUAL(request->results[0], ECANCELED);
    CHECK(goneBefore > 0);
  }
}

/// Requests that wait until the output is sent go out then, though nothing arrives.
void requestsFollowAFullOutput() {
  Bench bench;
  const auto channel = bench.core->dma()->messageDma();
  std::vector<std::shared_ptr<Request>> requests;
  const auto submit = [&](int count) {
    for (int i = 0; i < count; ++i) {
      requests.push_back(std::make_shared<Request>());
      requests.back()->write = true;
      requests.back()->count = kMessageDmaMax;
      channel->submit(requests.back());
    }
  };
  // The client takes nothing: what is cancelled stays in the output, and does not leave room for everything that comes.
  submit(4);
  bench.transport->round(0, 0);
  channel->cancelAll();
  submit(4);
  bench.transport->round(0, 0);
  bench.transport->woken = false;
  // Then it takes all, in one round.
  bench.transport->round(0);
  CHECK(!bench.transport->woken);
  CHECK_EQUAL(bench.replies().size(), 8u);
}

// --- Anything at all ---

/// Another client of the device of a bench.
class NextClient {
 public:
  explicit NextClient(const std::shared_ptr<DeviceCore>& core) {
    auto own = std::make_unique<FakeTransport>();
    transport = own.get();
    handler->entered = [] {};
    connection = std::make_shared<Connection>(core, std::move(own), handler);
    handler->onVersion = [this] { connection->negotiated({.twin = nullptr}); };
    connection->start();
    transport->input.send(message(1, kCommandVersion, Bytes(4)));
    transport->runDry();
  }
  ~NextClient() {
    handler->onVersion = nullptr;
    connection->close("the test is over");
  }
  void map(uint64_t address) {
    transport->input.send(message(2, kCommandDmaMap, DmaMapBody{32, 3, 0, address, 4096}));
    transport->runDry();
  }

  std::shared_ptr<Handler> handler = std::make_shared<Handler>();
  FakeTransport* transport = nullptr;
  std::shared_ptr<Connection> connection;
};

/// A connection that hears late of its end leaves alone what the next client has.
void lateEndsTakeNothingFromTheNextClient() {
  Bench bench;
  CHECK_EQUAL(bench.errorOf(message(1, kCommandDmaMap, DmaMapBody{32, 3, 0, 0x1000, 4096})), 0u);
  // The device is taken away.
  bench.core->clientGone();
  CHECK_EQUAL(bench.core->dma()->mappings(), 0u);
  {
    NextClient next(bench.core);
    next.map(0x5000);
    CHECK_EQUAL(bench.errorOf(message(2, kCommandDmaMap, DmaMapBody{32, 3, 0, 0x2000, 4096})),
                static_cast<uint32_t>(ENODEV));
    CHECK_EQUAL(bench.errorOf(message(3, kCommandDmaUnmap, DmaUnmapBody{24, 0, 0x5000, 4096})),
                static_cast<uint32_t>(ENODEV));
    const auto channel = bench.core->dma()->messageDma();
    CHECK(channel != nullptr);
    bench.transport->hangUp();
    CHECK(bench.handler->isClosed);
    CHECK_EQUAL(bench.core->dma()->mappings(), 1u);
    CHECK(bench.core->dma()->messageDma() == channel);
  }
  CHECK_EQUAL(bench.core->dma()->mappings(), 0u);
  CHECK(bench.core->dma()->messageDma() == nullptr);
}

/// Who hears that a request has ended with its client may let the next client in at once.
void endsOfRequestsMayLetTheNextClientIn() {
  Bench bench;
  CHECK_EQUAL(bench.errorOf(message(1, kCommandDmaMap, DmaMapBody{32, 3, 0, 0x1000, 4096})), 0u);
  std::unique_ptr<NextClient> next;
  class Admitting final : public MessageRequest {
   public:
    void finished(int error) override {
      CHECK_EQUAL(error, ECANCELED);
      admit();
    }
    std::function<void()> admit;
  };
  const auto request = std::make_shared<Admitting>();
  request->address = 0x1000;
  request->count = 64;
  request->admit = [&] {
    next = std::make_unique<NextClient>(bench.core);
    next->map(0x5000);
  };
  bench.core->dma()->messageDma()->submit(request);
  bench.transport->hangUp();
  CHECK(next != nullptr);
  CHECK_EQUAL(bench.core->dma()->mappings(), 1u);
  CHECK(bench.core->dma()->messageDma() != nullptr);
}

/// Messages of every kind, mutated, cut and given fds at random, with hooks
/// that close, fail and submit: every request that is understood has one reply,
/// in order, and nothing is left when it is over.
void hostileClients() {
  const int files = openFiles();
  Random random(99);
  for (int round = 0; round < 400; ++round) {
    Bench bench(random.chance(90), 1 + static_cast<uint32_t>(random.below(5000)));
    std::vector<std::shared_ptr<Request>> requests;
    bench.trap.hook = [&] {
      const uint64_t what = random.below(40);
      if (what == 0) bench.connection->close("by a hook");
      if (what == 1) bench.core->clientGone();
      if (what == 2) bench.core->dma()->unmapAll();
      if (const auto channel = bench.core->dma()->messageDma(); channel != nullptr && what < 8) {
        requests.push_back(std::make_shared<Request>());
        requests.back()->write = random.chance(50);
        requests.back()->address = random.below(1 << 20);
        requests.back()->count = 1 + static_cast<uint32_t>(random.below(kMessageDmaMax));
        channel->submit(requests.back());
      }
    };
    /// What the client expects: (id, command) of every request that has a
    /// reply.
    std::vector<std::pair<uint16_t, uint16_t>> expected;
    bool mutated = false;
    for (int n = 0; n < 60; ++n) {
      const auto id = static_cast<uint16_t>(random.below(65536));
      const uint32_t flags = random.chance(20) ? kNoReply : 0;
      Bytes bytes;
      std::vector<FileDescriptor> fds;
      switch (random.below(8)) {
        case 0:
          bytes = regionRead(id, random.below(random.chance(80) ? kRegionSize : UINT64_MAX),
                             static_cast<uint32_t>(random.below(random.chance(90) ? 20000 : UINT32_MAX)),
                             static_cast<uint32_t>(random.below(11)) % 10, flags);
          break;
        case 1:
          bytes =
              regionWrite(id, random.below(2) * kTrapPage + random.below(5000), Bytes(random.below(9000)), 0, flags);
          break;
        case 2:
          bytes = message(id, kCommandDmaMap,
                          DmaMapBody{32, static_cast<uint32_t>(random.below(5)), random.below(3) * 4096,
                                     random.below(16) * 4096, random.below(4) * 4096},
                          flags);
          if (random.chance(60)) {
            fds = one(newFile());
            CHECK(::ftruncate(fds[0].get(), 16 * 4096) == 0);
          }
          break;
        case 3:
          bytes = message(
              id, kCommandDmaUnmap,
              DmaUnmapBody{24, static_cast<uint32_t>(random.below(4)), random.below(16) * 4096, random.below(4) * 4096},
              flags);
          break;
        case 4: {
          const uint64_t count = random.below(4);
          bytes = message(id, kCommandSetIrqs,
                          SetIrqsBody{20, static_cast<uint32_t>(random.chance(70) ? 0x24 : random.below(64)),
                                      static_cast<uint32_t>(random.below(6)), static_cast<uint32_t>(random.below(9)),
                                      static_cast<uint32_t>(count)},
                          flags);
          if (random.chance(70)) {
            for (uint64_t i = 0; i < count; ++i)
              fds.push_back(random.chance(80) ? FileDescriptor(::eventfd(0, EFD_CLOEXEC)) : newFile());
          }
          break;
        }
        case 5:
          bytes = message(id, static_cast<uint16_t>(random.below(30)), Bytes(random.below(64)), flags);
          break;
        case 6:
          bytes = message(id, kGetInfo, Bytes(16), flags);
          break;
        default:
          bytes = message(id, static_cast<uint16_t>(random.chance(50) ? kCommandDmaRead : kCommandDmaWrite),
                          Bytes(random.below(40)), random.chance(10) ? kTypeReply : flags);
          break;
      }
      const auto header = decode<Header>(bytes);
      if ((header.flags & kNoReply) == 0) expected.emplace_back(header.id, header.command);
      if (random.chance(3)) {
        bytes[random.below(sizeof(Header))] = std::byte(random.below(256));
        mutated = true;
      }
      if (random.chance(5)) {
        for (uint64_t i = 1 + random.below(18); i > 0; --i) fds.push_back(newFile());
      }
      // In pieces, with the fds on the first one.
      std::size_t at = 0;
      while (at < bytes.size()) {
        const std::size_t size = random.chance(70) ? bytes.size() - at : 1 + random.below(bytes.size() - at);
        bench.transport->input.send(Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                          bytes.begin() + static_cast<std::ptrdiff_t>(at + size)),
                                    std::exchange(fds, {}));
        at += size;
      }
    }
    int idle = 0;
    while (bench.transport->open() && idle < 50) {
      const std::size_t before = bench.transport->output.size();
      bench.transport->round(random.chance(50) ? SIZE_MAX : 1 + random.below(500),
                             random.chance(80) ? SIZE_MAX : random.below(1000));
      const bool quiet =
          bench.transport->input.empty() && !bench.transport->more && bench.transport->output.size() == before;
      idle = quiet ? idle + 1 : 0;
    }
    if (bench.transport->open()) {
      while (bench.transport->round() == Turn::more) {
      }
    }
    if (!mutated && bench.transport->open() && bench.transport->input.empty()) {
      std::vector<std::pair<uint16_t, uint16_t>> got;
      for (const auto& reply : bench.replies()) {
        if ((reply.header.flags & kTypeMask) == kTypeReply) got.emplace_back(reply.header.id, reply.header.command);
      }
      CHECK(got == expected);
    }
    bench.transport->hangUp();
    for (const auto& request : requests) CHECK_EQUAL(request->results.size(), 1u);
    CHECK_EQUAL(bench.core->dma()->mappings(), 0u);
  }
  CHECK_EQUAL(openFiles(), files);
}

}  // namespace

int main() {
  onlyVersionComesFirst();
  regionsOfEveryLength();
  rangesAreCheckedWhole();
  roundsAreBounded();
  aClientThatDoesNotReadIsNotRead();
  aClientThatBrokeTheProtocolDoesNotStay();
  roundsEndByTime();
  aRestoreThatFailsKeepsNoTwin();
  postedMessagesHaveNoReply();
  postedWritesAreFlushedAtTheEndOfATurn();
  hooksMayCloseTheConnection();
  hooksMayFail();
  aHandlerThatFailsEndsTheConnection();
  carriesNothingBeforeTheVersion();
  keepsNoFilesWhenClosed();
  cutsOffWhoBringsMoreThanCanBeClosed();
  laterMeansLater();
  oversizeEndsTheConnection();
  dmaRequestsAndWrongAnswers();
  lateRepliesAreDroppedOnce();
  repliesAreServedWhileTheHandlerIsWaitedFor();
  aBrokenReplyEndsTheConnectionInItsTurn();
  whatIsHeldMeanwhileIsBounded();
  unansweredRequestsWait();
  workEndsBeforeItsRequests();
  requestsFollowAFullOutput();
  lateEndsTakeNothingFromTheNextClient();
  endsOfRequestsMayLetTheNextClientIn();
  hostileClients();
}
