// sources: dsa/*.cc dsa/crc/*.cc dsa/operations/*.cc dsa/typed/*.cc engine/*.cc memory/*.cc registers/*.cc irq/*.cc base/*.cc
// sanitize: address,undefined
//
// When there is no memory: what an owner asks for fails as a whole and can be asked for again, and engines go on.
#include <cstdlib>
#include <new>

#include "engine_support.h"

using namespace engine_test;

namespace {

constexpr uint64_t kMessages = 0x8000000000;

/// The allocation of this thread that fails, counted from now on; negative: none.
thread_local int64_t failing = -1;
/// No thread gets so much at once.
std::atomic<std::size_t> tooLarge{SIZE_MAX};
/// How often a thread wanted so much.
std::atomic<uint32_t> refused{0};

void* allocate(std::size_t size) {
  if (size >= tooLarge) {
    ++refused;
    throw std::bad_alloc();
  }
  if (failing-- == 0) throw std::bad_alloc();
  if (void* const memory = std::malloc(size); memory != nullptr) return memory;
  throw std::bad_alloc();
}

/// Lets each allocation of the action fail in turn, until it succeeds. `unchanged` after every failure.
template <typename Action, typename Check>
void withEachFailure(Action action, Check unchanged) {
  for (int64_t failures = 0;; ++failures) {
    failing = failures;
    try {
      action();
      failing = -1;
      CHECK(failures > 0);
      return;
    } catch (const std::bad_alloc&) {
      failing = -1;
      unchanged();
    }
  }
}

void testOwner() {
  Device device;
  device.mapAll();
  const QueueConfig config = Device::config(100);
  // Places for three engines are part of it.
  device.addEngines(3);
  withEachFailure([&] { device.enable(0, config); },
                  [&] {
                    CHECK(device.queues->queue(0).run() == nullptr);
                    device.submit(0, noOp());
                    CHECK_EQUAL(device.queues->queue(0).counters().submitted, 0u);
                  });
  CHECK_EQUAL(device.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);

  const std::vector<uint32_t> queues{0, 1};
  withEachFailure(
      [&] {
        QueueDevice::Command command;
        command.queues = queues;
        command.stopAccepting = command.abort = true;
        CHECK(device.queues->command(std::move(command)));
      },
      [&] {
        CHECK(!device.queues->commandPending());
        CHECK_EQUAL(device.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);
        await("the end of it", [&] { return device.queues->queue(0).run()->inFlight() == 0; });
      });
  device.enable(0, config);

  std::vector<std::shared_ptr<Engine>> more = device.engines;
  for (int i = 0; i < 3; ++i) more.push_back(std::make_shared<Engine>("more"));
  withEachFailure([&] { device.group->setEngines(more); },
                  [&] {
                    CHECK(more.front()->group() == device.group);
                    CHECK(more.back()->group() == nullptr);
                    CHECK_EQUAL(device.execute(0, noOp(), 0x1000), dsa::kStatusSuccess);
                  });
  CHECK(more.back()->group() == device.group);
  CHECK_THROWS(std::bad_alloc, [] {
    failing = 0;
    Engine engine("none");
  }());
  failing = -1;
  for (const auto& engine : more) engine->close();
}

/// There is no memory for what a descriptor of a restored device needs: its engine sleeps, and goes on when there is.
void testEngine() {
  Device device;
  GuestMemory behind(16);
  const auto client = std::make_shared<Client>(behind, kMessages);
  device.mapAll();
  CHECK_EQUAL(device.dma->map(kMessages, behind.size(), kBoth, FileDescriptor(), 0), 0);
  device.dma->setMessageDma(client);
  device.addEngines(1);
  device.enable(0, Device::config());
  device.submit(0, move(kMessages, kBase, 64).record(kBase + 0x1000));
  await("the request", [&] { return client->waiting() == 1; });
  device.queues->suspend();
  device.queues->cancelMessages();
  const std::vector<std::byte> state = device.queues->state();
  const QueueDevice::RestoredQueue settings{Device::config(), device.group};
  device.queues->restore(state, std::vector<std::optional<QueueDevice::RestoredQueue>>(kQueues, settings));
  tooLarge = kMessageDmaMax;
  const auto start = std::chrono::steady_clock::now();
  device.queues->resume();
  constexpr uint32_t kTries = 10;
  await("its looking for memory", [&] { return refused >= kTries; });
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(5 * kTries));
  CHECK_EQUAL(device.memory.status(0x1000), 0);
  tooLarge = SIZE_MAX;
  await("the request", [&] { return client->waiting() == 1; });
  CHECK(client->answer());
  await("the record", [&] { return device.memory.status(0x1000) != 0; });
  CHECK_EQUAL(device.memory.status(0x1000), dsa::kStatusSuccess);
  device.queues->reset();
  device.dma->setMessageDma(nullptr);
}

}  // namespace

// Not inlined: the compiler would see that malloc and free take turns with new and delete.
__attribute__((noinline)) void* operator new(std::size_t size) { return allocate(size); }
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main() {
  testOwner();
  testEngine();
}
