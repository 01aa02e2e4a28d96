// sources: vfio_user/dma_messenger.cc memory/queued_dma.cc memory/dirty_chunks.cc memory/dirty_log.cc memory/dirty_tracker.cc memory/epoch.cc memory/epoch_process.cc transport/output_queue.cc base/fd_closer.cc
// sanitize: thread
#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <set>
#include <thread>

#include "memory/epoch.h"
#include "vfio_user/dma_messenger.h"
#include "vfio_user_support.h"

using namespace mdev;
using namespace mdev::vfio_user;
using namespace vfio_user_test;

// The sanitizer's own; not every compiler installs the header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));

namespace {

/// Allocations of this thread, while it counts them.
thread_local bool counting = false;
thread_local uint64_t allocations = 0;

constexpr int kThreads = 3;
constexpr int kRequestsPerThread = 3000;
constexpr uint32_t kGuestSize = 64 * 1024;

/// A request that its thread waits for, and uses again.
class Request final : public MessageRequest {
 public:
  void finished(int error) override {
    CHECK(result.load() == kRunning);
    result.store(error);
  }
  static constexpr int kRunning = -1;
  std::atomic<int> result{kRunning};
};

/// The client: memory, and answers to what the messenger sends.
class Guest {
 public:
  /// `cancels`: messages that are answered late may be of requests that are over, and count no more.
  Guest(DmaMessenger& messenger, bool cancels) : messenger_(messenger), cancels_(cancels) {}

  /// Takes what is to be sent and answers a part of it, in any order.
  void work(Random& random) {
    messenger_.fill(output_);
    for (Outgoing next = output_.next(); !next.bytes.empty(); next = output_.next()) {
      std::span<const std::byte> bytes = next.bytes;
      const std::size_t size = bytes.size();
      while (!bytes.empty()) {
        const auto header = decode<Header>(bytes);
        waiting_.emplace_back(bytes.begin(), bytes.begin() + header.size);
        bytes = bytes.subspan(header.size);
      }
      output_.sent(size);
    }
    CHECK(waiting_.size() <= DmaMessenger::kMaxOnWire + (cancels_ ? DmaMessenger::kMaxOwed : 0));
    for (uint64_t n = random.below(waiting_.size() + 1); n > 0; --n) {
      const auto place = waiting_.begin() + static_cast<std::ptrdiff_t>(random.below(waiting_.size()));
      const Bytes message = *place;
      waiting_.erase(place);
      answer(message);
    }
  }

 private:
  void answer(const Bytes& message) {
    const auto header = decode<Header>(message);
    const auto body = decode<DmaBody>(std::span(message).subspan(sizeof(Header)));
    Bytes reply;
    append(reply, encoded(body));
    CHECK(body.address + body.count <= kGuestSize);
    if (header.command == kCommandDmaRead) {
      append(reply, std::span(memory_).subspan(body.address, body.count));
    } else {
      std::memcpy(memory_.data() + body.address, message.data() + sizeof(Header) + sizeof(DmaBody), body.count);
    }
    CHECK(messenger_.reply({header.id, header.command, header.size, kTypeReply, 0}, reply) == nullptr);
  }

  DmaMessenger& messenger_;
  const bool cancels_;
  OutputQueue output_;
  std::deque<Bytes> waiting_;
  Bytes memory_ = Bytes(kGuestSize);
};

/// Threads write and read back their own parts of the memory while the owner answers, cancels, and at last closes.
void everyRequestEndsOnce(bool cancels) {
  std::atomic<int> wakes = 0;
  const auto messenger = std::make_shared<DmaMessenger>([&] { ++wakes; });
  messenger->setMaxTransfer(777);
  std::atomic<int> ended = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      Random random(static_cast<uint64_t>(thread));
      const auto request = std::make_shared<Request>();
      constexpr uint32_t kPart = kGuestSize / kThreads;
      for (int n = 0; n < kRequestsPerThread && !stop; ++n) {
        const auto run = [&](bool write) {
          request->write = write;
          request->result.store(Request::kRunning);
          messenger->submit(request);
          while (request->result.load() == Request::kRunning) std::this_thread::yield();
          return request->result.load();
        };
        request->count = 1 + static_cast<uint32_t>(random.below(3000));
        request->address = static_cast<uint64_t>(thread) * kPart + random.below(kPart - request->count);
        const auto value = std::byte(random.below(256));
        std::memset(request->data.data(), static_cast<int>(value), request->count);
        const int wrote = run(true);
        std::memset(request->data.data(), 0, request->count);
        const int read = run(false);
        CHECK(wrote == 0 || wrote == ECANCELED);
        CHECK(read == 0 || read == ECANCELED);
        // What was cancelled may still reach the memory, late.
        if (!cancels && wrote == 0 && read == 0) {
          CHECK(request->data[0] == value && request->data[request->count - 1] == value);
        }
      }
      ++ended;
    });
  }
  Guest guest(*messenger, cancels);
  Random random(4711);
  while (ended < kThreads) {
    guest.work(random);
    if (cancels && random.chance(1)) messenger->cancel(random.below(kGuestSize), random.below(kGuestSize));
    if (cancels && random.below(20000) == 0) break;
    std::this_thread::yield();
  }
  if (ended < kThreads) stop = true;
  messenger->close();
  for (std::thread& thread : threads) thread.join();
  CHECK(wakes > 0);
  const auto late = std::make_shared<Request>();
  late->count = 1;
  messenger->submit(late);
  CHECK_EQUAL(late->result.load(), ECANCELED);
}

/// A messenger whose wire the test looks at.
class Wire {
 public:
  explicit Wire(uint32_t maxTransfer = kMessageDmaMax) { messenger.setMaxTransfer(maxTransfer); }
  ~Wire() { messenger.close(); }

  std::shared_ptr<Request> submit(uint64_t address, uint32_t count, const MessageOwner* owner = nullptr,
                                  uint64_t sequence = 0, bool write = false) {
    const auto request = std::make_shared<Request>();
    request->address = address;
    request->count = count;
    request->owner = owner;
    request->sequence = sequence;
    request->write = write;
    messenger.submit(request);
    return request;
  }
  /// What goes out now, and whether the client takes it.
  std::vector<Header> sent(bool takes = true) {
    std::vector<Header> headers;
    messenger.fill(output);
    if (!takes) return headers;
    for (Outgoing next = output.next(); !next.bytes.empty(); next = output.next()) {
      std::span<const std::byte> bytes = next.bytes;
      const std::size_t size = bytes.size();
      for (; !bytes.empty(); bytes = bytes.subspan(headers.back().size)) {
        headers.push_back(decode<Header>(bytes));
        bodies.push_back(decode<DmaBody>(bytes.subspan(sizeof(Header))));
      }
      output.sent(size);
    }
    return headers;
  }
  const char* answer(const Header& header, uint64_t address, uint32_t count) {
    Bytes reply;
    append(reply, encoded(DmaBody{address, count}));
    if (header.command == kCommandDmaRead) append(reply, Bytes(count));
    return messenger.reply({header.id, header.command, 0, kTypeReply, 0}, reply);
  }

  int wakes = 0;
  DmaMessenger messenger{[this] { ++wakes; }};
  OutputQueue output;
  std::vector<DmaBody> bodies;
};

/// Writes are noted when the client answers for them, well or badly, and when it may carry them out although nobody
/// waits.
void notesWhatTheClientWrites() {
  constexpr uint64_t kSize = 64 * 4096;
  Wire wire(4096);
  EpochDomain epochs;
  const auto tracker = std::make_shared<DirtyTracker>(epochs);
  const std::vector<DirtyRange> all = {{0, kSize}};
  CHECK_EQUAL(tracker->start(4096, all, kSize * 16, [](const auto&) {}), 0);
  wire.messenger.setDirtyTracker(tracker);
  const auto dirty = [&] {
    uint64_t bits = 0;
    tracker->report(0, kSize, 4096, std::as_writable_bytes(std::span(&bits, 1)));
    return bits;
  };
  wire.submit(0, 8192, nullptr, 0, true);
  wire.submit(3 * 4096, 4096);
  const auto refused = wire.submit(5 * 4096, 4096, nullptr, 0, true);
  wire.submit(7 * 4096, 4096, nullptr, 0, true);
  const std::vector<Header> sent = wire.sent();
  CHECK_EQUAL(sent.size(), std::size_t{5});
  CHECK_EQUAL(dirty(), uint64_t{0});
  CHECK(wire.answer(sent[0], 0, 4096) == nullptr);
  CHECK_EQUAL(dirty(), uint64_t{1});
  CHECK(wire.answer(sent[1], 4096, 4096) == nullptr);
  CHECK(wire.answer(sent[2], 3 * 4096, 4096) == nullptr);
  CHECK(wire.messenger.reply({sent[3].id, sent[3].command, 0, kTypeReply | kError, EIO}, {}) == nullptr);
  CHECK_EQUAL(refused->result.load(), EFAULT);
  CHECK_EQUAL(dirty(), uint64_t{1 << 1 | 1 << 5});
  wire.messenger.cancelAll();
  CHECK_EQUAL(dirty(), uint64_t{1 << 7});
}

/// What is not over can be told: whose it is, how much of it the client has, and how much it has answered.
void tellsWhatIsPending() {
  Wire wire(4096);
  MessageOwner owner;
  CHECK(wire.messenger.pending().empty());
  const auto read = wire.submit(0x1000, 3 * 4096, &owner, 7);
  const auto write = wire.submit(0x9000, 64, nullptr, 0, true);
  const auto check = [](const PendingRequest& pending, const Request& request, uint32_t issued, uint32_t answered) {
    CHECK(pending.write == request.write && pending.address == request.address && pending.count == request.count);
    CHECK(pending.owner == request.owner && pending.sequence == request.sequence);
    CHECK_EQUAL(pending.issued, issued);
    CHECK_EQUAL(pending.answered, answered);
  };
  check(wire.messenger.pending().at(0), *read, 0, 0);
  check(wire.messenger.pending().at(1), *write, 0, 0);
  const auto headers = wire.sent();
  CHECK_EQUAL(headers.size(), std::size_t{4});
  CHECK(wire.answer(headers[1], 0x2000, 4096) == nullptr);
  check(wire.messenger.pending().at(0), *read, 3 * 4096, 4096);
  check(wire.messenger.pending().at(1), *write, 64, 0);
  CHECK(wire.answer(headers[3], 0x9000, 64) == nullptr);
  CHECK_EQUAL(wire.messenger.pending().size(), std::size_t{1});
  wire.messenger.cancelAll();
  CHECK(wire.messenger.pending().empty());
  CHECK_EQUAL(read->result.load(), ECANCELED);
}

/// Of what its owner has given up nothing goes out any more, and everything else stays.
void cancelsOfOneOwner() {
  Wire wire;
  MessageOwner owner;
  MessageOwner other;
  owner.abandonedBefore = 5;
  const auto late = wire.submit(0, 64, &owner, 4);
  CHECK_EQUAL(late->result.load(), ECANCELED);
  CHECK_EQUAL(late->issued, 0u);
  CHECK(wire.sent().empty());
  const auto first = wire.submit(0x1000, 64, &owner, 5);
  const auto second = wire.submit(0x2000, 64, &owner, 6);
  const auto others = wire.submit(0x3000, 64, &other, 0);
  const auto nobodys = wire.submit(0x4000, 64);
  const auto headers = wire.sent();
  CHECK_EQUAL(headers.size(), 4u);
  const auto waiting = wire.submit(0x5000, 64, &owner, 5);
  owner.abandonedBefore = 6;
  wire.messenger.cancelAbandoned();
  CHECK_EQUAL(first->result.load(), ECANCELED);
  CHECK_EQUAL(first->issued, 64u);
  CHECK_EQUAL(waiting->result.load(), ECANCELED);
  CHECK_EQUAL(waiting->issued, 0u);
  CHECK(wire.sent().empty());
  CHECK_EQUAL(second->result.load(), Request::kRunning);
  // A late reply is dropped, once.
  for (unsigned i = 0; i < 4; ++i) CHECK(wire.answer(headers[i], 0x1000 * (i + 1), 64) == nullptr);
  CHECK(wire.answer(headers[0], 0x1000, 64) != nullptr);
  for (const auto& request : {second, others, nobodys}) CHECK_EQUAL(request->result.load(), 0);
  // It is still known which command it was.
  const auto last = wire.submit(0x1000, 64, &owner, 7);
  Header asked = wire.sent()[0];
  owner.abandonedBefore = 8;
  wire.messenger.cancelAbandoned();
  asked.command = kCommandDmaWrite;
  CHECK(wire.answer(asked, 0x1000, 64) != nullptr);
}

/// A client that does not answer what was cancelled keeps nobody from asking, up to a limit; its ids are not used
/// meanwhile. Beyond the limit every answer lets one more out.
void unansweredCancels() {
  Wire wire;
  std::set<uint16_t> owed;
  std::vector<Header> headers;
  const auto cancelRound = [&] {
    for (std::size_t i = 0; i < DmaMessenger::kMaxOnWire; ++i) wire.submit(0, 64, nullptr, 0, owed.size() % 3 == 0);
    const std::size_t before = owed.size();
    for (const Header& header : wire.sent()) {
      CHECK(owed.insert(header.id).second);
      headers.push_back(header);
    }
    CHECK_EQUAL(owed.size(), before + DmaMessenger::kMaxOnWire);
    wire.messenger.cancelAll();
  };
  while (owed.size() + DmaMessenger::kMaxOnWire < DmaMessenger::kMaxOwed) cancelRound();
  // All ids, once around: those that are owed are left out.
  const auto request = std::make_shared<Request>();
  request->count = 1;
  for (uint32_t n = 0; n < 65536; ++n) {
    request->result = Request::kRunning;
    wire.messenger.submit(request);
    const auto sent = wire.sent();
    CHECK_EQUAL(sent.size(), 1u);
    CHECK(!owed.contains(sent[0].id));
    CHECK(wire.answer(sent[0], 0, 1) == nullptr);
    CHECK_EQUAL(request->result.load(), 0);
  }
  cancelRound();
  CHECK_EQUAL(owed.size(), std::size_t{DmaMessenger::kMaxOwed});
  const auto late = wire.submit(0, 64);
  const auto later = wire.submit(0, 64);
  CHECK(wire.sent().empty());
  for (const auto& waiting : {late, later}) {
    CHECK(wire.answer(headers.back(), 0, 64) == nullptr);
    headers.pop_back();
    const auto sent = wire.sent();
    CHECK_EQUAL(sent.size(), 1u);
    CHECK_EQUAL(waiting->result.load(), Request::kRunning);
    CHECK(wire.answer(sent[0], 0, 64) == nullptr);
    CHECK_EQUAL(waiting->result.load(), 0);
  }
}

/// What waits for room on the wire goes out when others are cancelled.
void cancelMakesRoom() {
  Wire wire;
  MessageOwner owner;
  for (std::size_t i = 0; i < DmaMessenger::kMaxOnWire; ++i) wire.submit(0, 64, &owner, 0);
  wire.submit(0x1000, 64);
  CHECK_EQUAL(wire.sent().size(), DmaMessenger::kMaxOnWire);
  const int wakes = wire.wakes;
  owner.abandonedBefore = 1;
  wire.messenger.cancelAbandoned();
  CHECK(wire.wakes > wakes);
  CHECK_EQUAL(wire.sent().size(), 1u);
}

/// Cancelled messages do not pile up in the output of a client that does not read.
void outputIsBounded() {
  Wire wire;
  for (int n = 0; n < 20; ++n) {
    for (int i = 0; i < 4; ++i) wire.submit(0, kMessageDmaMax, nullptr, 0, true);
    wire.sent(false);
    CHECK(wire.output.size() <= DmaMessenger::kMaxUnsent);
    if (n < 19) wire.messenger.cancelAll();
  }
  CHECK(wire.messenger.starved());
  wire.sent();
  CHECK_EQUAL(wire.sent().size(), 4u);
  CHECK(!wire.messenger.starved());
}

/// Neither the engine that asks nor the owner that takes, answers or cancels allocates for a request.
void nothingIsAllocated() {
  Wire wire;
  std::vector<std::shared_ptr<Request>> requests;
  for (int i = 0; i < 100; ++i) {
    requests.push_back(std::make_shared<Request>());
    requests.back()->address = 0x1000 * static_cast<uint64_t>(i);
    requests.back()->count = 64;
  }
  // Makes the output's buffers once.
  for (int i = 0; i < 2; ++i) {
    wire.output.append(Bytes(100000));
    wire.output.sent(wire.output.next().bytes.size());
  }
  __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t) { allocations += counting ? 1 : 0; },
                                            [](const volatile void*) {});
  counting = true;
  // Counted at all.
  static_cast<void>(std::make_unique<Request>());
  CHECK_EQUAL(allocations, 1u);
  for (int round = 0; round < 10; ++round) {
    for (const auto& request : requests) wire.messenger.submit(request);
    wire.messenger.fill(wire.output);
    wire.messenger.cancel(0x3000, 0x4000);
    wire.messenger.fill(wire.output);
    std::array<std::byte, sizeof(DmaBody) + 64> reply{};
    const DmaBody body{0, 64};
    std::memcpy(reply.data(), &body, sizeof body);
    counting = false;
    const auto first = decode<Header>(wire.output.next().bytes);
    wire.output.sent(wire.output.next().bytes.size());
    counting = true;
    CHECK(wire.messenger.reply({first.id, kCommandDmaRead, 0, kTypeReply, 0}, reply) == nullptr);
    CHECK_EQUAL(requests[0]->result.load(), 0);
    wire.messenger.cancelAll();
    for (const auto& request : requests) {
      CHECK(request->result.load() != Request::kRunning);
      request->result = Request::kRunning;
    }
  }
  counting = false;
  CHECK_EQUAL(allocations, 1u);
}

}  // namespace

int main() {
  notesWhatTheClientWrites();
  tellsWhatIsPending();
  cancelsOfOneOwner();
  unansweredCancels();
  cancelMakesRoom();
  outputIsBounded();
  nothingIsAllocated();
  everyRequestEndsOnce(false);
  for (int n = 0; n < 5; ++n) everyRequestEndsOnce(true);
}
