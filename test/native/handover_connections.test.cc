// clang-format off
// sources: vfio_user/*.cc transport/input_buffer.cc transport/output_queue.cc transport/socket_io.cc core/*.cc registers/*.cc irq/*.cc memory/*.cc base/*.cc
// sanitize: address,undefined
// clang-format on
//
// A connection that another process has written: it goes on as it was, and
// whatever else somebody writes is refused, or
// is a client like any other, that can do what it likes and be gone. Nothing of
// it stays, and nobody hears of one that
// was refused.
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/handover_archive.h"
#include "handover_spoil.h"
#include "vfio_user/connection.h"
#include "vfio_user_bench.h"
#include "vfio_user_support.h"

using namespace mdev;
using namespace mdev::vfio_user;
using namespace vfio_user_test;

namespace {

class Request final : public MessageRequest {
 public:
  void finished(int error) override { result = error; }
  std::optional<int> result;
};

/// What a connection gave: its bytes, and descriptors that the test keeps.
struct Saved {
  Bytes bytes;
  std::vector<FileDescriptor> fds;
  bool hasTwin = false;

  std::vector<ForeignFd> duplicates() const {
    std::vector<ForeignFd> own;
    for (const FileDescriptor& fd : fds) own.emplace_back(FileDescriptor(::dup(fd.get())));
    return own;
  }
};

Saved save(Connection& connection) {
  HandoverWriter archive;
  connection.save(archive);
  Saved saved;
  for (const int fd : archive.fds()) saved.fds.emplace_back(::dup(fd));
  saved.bytes = archive.take();
  return saved;
}

/// A connection in another process, as far as it has come.
class Next {
 public:
  explicit Next(const Saved& saved, std::span<const std::byte> bytes) {
    core->setEnforceMemoryDecode(false);
    core->setRegion(0, kRegionSize, 3, port);
    core->interrupts().setCount(2, 8);
    core->setTrapHandler(&trap);
    trap.entered = handler->entered = [] {};
    auto own = std::make_unique<FakeTransport>();
    transport = own.get();
    connection = std::make_shared<Connection>(core, std::move(own), handler);
    HandoverReader archive(bytes, saved.duplicates());
    Agreement agreement{.maxTransfer = 4096, .twin = nullptr};
    if (saved.hasTwin) {
      auto twinOwn = std::make_unique<FakeTransport>();
      twin = twinOwn.get();
      agreement.twin = std::move(twinOwn);
    }
    taken = connection->restore(archive, std::move(agreement));
    if (taken) connection->start();
  }
  ~Next() {
    if (taken) connection->close("the test is over");
  }

  bool taken = false;
  std::shared_ptr<DeviceCore> core = std::make_shared<DeviceCore>();
  std::shared_ptr<Port> port = std::make_shared<Port>();
  Trap trap;
  std::shared_ptr<Handler> handler = std::make_shared<Handler>();
  FakeTransport* transport = nullptr;
  FakeTransport* twin = nullptr;
  std::shared_ptr<Connection> connection;
};

/// A connection with something in every part: messages that wait with their
/// files, one that is not whole, replies that the client has not taken,
/// requests whose replies are owed; on a twin socket if `twin`.
Saved busy(bool twin) {
  Bench bench(false);
  FakeTransport* second = nullptr;
  bench.handler->onVersion = [&] {
    Agreement agreement{.maxTransfer = 4096, .twin = nullptr};
    if (twin) {
      auto own = std::make_unique<FakeTransport>();
      second = own.get();
      agreement.twin = std::move(own);
    }
    bench.connection->negotiated(std::move(agreement));
  };
  bench.ask(message(1, kCommandVersion, Bytes(4)));
  // One command was refused before.
  bench.ask(message(2, 999));
  bench.transport->output.clear();
  // Asked for, and given up.
  const auto channel = bench.core->dma()->messageDma();
  for (int count = 0; count < 3; ++count) {
    const auto request = std::make_shared<Request>();
    request->write = count == 1;
    request->count = 512;
    channel->submit(request);
    (twin ? second : bench.transport)->round();
    channel->cancelAll();
    CHECK(request->result.has_value());
  }
  if (twin) {
    // The beginning of a late reply.
    Bytes late = message(0, kCommandDmaRead, Bytes(528), kTypeReply);
    late.resize(20);
    second->input.send(std::move(late));
    second->round();
  }
  // A reply that the client does not take.
  bench.transport->input.send(regionRead(3, 0, 100));
  bench.transport->round(SIZE_MAX, 0);
  bench.connection->suspend();
  // What nobody looks at any more here.
  FileDescriptor memory = newFile();
  CHECK(::ftruncate(memory.get(), 4096) == 0);
  bench.transport->input.send(message(4, kCommandDmaMap, DmaMapBody{32, 3, 0, 0x1000, 4096}), one(std::move(memory)));
  bench.transport->round(SIZE_MAX, 0);
  Bytes half = message(5, kCommandSetIrqs, Bytes(20));
  half.resize(half.size() - 9);
  bench.transport->input.send(std::move(half), one(newFile()));
  bench.transport->round(SIZE_MAX, 0);
  CHECK(bench.connection->settled());
  Saved saved = save(*bench.connection);
  saved.hasTwin = twin;
  CHECK(saved.fds.size() == 2);
  return saved;
}

/// Lets a connection that was taken do all it can, and hang up in the middle of
/// it.
void live(Next& next) {
  next.transport->input.send(regionRead(9, 0, 64));
  next.connection->resume();
  next.transport->runDry();
  if (next.twin != nullptr) next.twin->runDry();
  next.transport->hangUp();
  CHECK(next.handler->isClosed);
}

void comeBack(bool twin) {
  const int before = openFiles();
  {
    const Saved saved = busy(twin);
    uint32_t refused = 0;
    uint32_t taken = 0;
    const auto take = [&](const Bytes& bytes) {
      Next next(saved, bytes);
      if (!next.taken) {
        ++refused;
        // Nobody has heard of it.
        CHECK(next.core->dma()->messageDma() == nullptr);
        CHECK_EQUAL(next.handler->messages + next.handler->refusals, 0);
        CHECK(!next.handler->isClosed);
        return;
      }
      ++taken;
      // The next process gets what this one has.
      Saved again = save(*next.connection);
      again.hasTwin = twin;
      if (bytes == saved.bytes) CHECK(again.bytes == bytes);
      {
        Next third(again, again.bytes);
        CHECK(third.taken);
        CHECK(save(*third.connection).bytes == again.bytes);
      }
      live(next);
    };
    take(saved.bytes);
    CHECK_EQUAL(taken, 1u);
    for (std::size_t size = 0; size < saved.bytes.size(); ++size) {
      take(Bytes(saved.bytes.begin(), saved.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    CHECK_EQUAL(refused, saved.bytes.size());
    handover_test::spoil(saved.bytes, twin ? 11 : 10, 400, take);
    CHECK(refused > saved.bytes.size());
    // Descriptors that are missing, or are too many.
    Saved other = busy(twin);
    other.fds.pop_back();
    CHECK(!Next(other, other.bytes).taken);
    Saved more = busy(twin);
    more.fds.push_back(newFile());
    CHECK(!Next(more, more.bytes).taken);
  }
  CHECK_EQUAL(openFiles(), before);
}

void whatWaitedIsServed() {
  const Saved saved = busy(false);
  Next next(saved, saved.bytes);
  CHECK(next.taken);
  next.connection->resume();
  next.transport->runDry();
  CHECK_EQUAL(next.core->dma()->mappings(), 1u);
  CHECK(!next.handler->isClosed);
}

}  // namespace

int main() {
  comeBack(false);
  comeBack(true);
  whatWaitedIsServed();
}
