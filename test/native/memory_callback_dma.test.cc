// clang-format off
// sources: memory/callback_dma.cc memory/queued_dma.cc memory/dirty_chunks.cc memory/dirty_log.cc memory/dirty_tracker.cc memory/epoch.cc memory/epoch_process.cc
// sanitize: thread
// clang-format on
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "memory/callback_dma.h"

using namespace mdev;

namespace {

constexpr int kThreads = 3;
constexpr int kRequestsPerThread = 2000;
constexpr uint64_t kSlot = 4096;

/// A request that its thread waits for, and uses again.
class Request final : public MessageRequest {
 public:
  static constexpr int kRunning = -1;
  void finished(int error) override {
    CHECK(result.load() == kRunning);
    result.store(error);
  }
  std::atomic<int> result{kRunning};
};

/// Threads write their own slots and read them back, while the owner answers and cancels.
void threadsAreAnswered() {
  std::vector<std::byte> guest(kSlot * kThreads);
  std::atomic<uint64_t> woken{0};
  const auto answer = [&](bool write, uint64_t address, std::span<std::byte> data) {
    if (write) {
      std::memcpy(guest.data() + address, data.data(), data.size());
    } else {
      std::memcpy(data.data(), guest.data() + address, data.size());
    }
    return 0;
  };
  CallbackDma dma(answer, [&] { woken.fetch_add(1); });
  std::atomic<int> running{kThreads};
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      auto request = std::make_shared<Request>();
      const auto transfer = [&](bool write, std::byte value) {
        request->write = write;
        request->address = kSlot * static_cast<uint64_t>(thread);
        request->count = 64;
        if (write) std::memset(request->data.data(), static_cast<int>(value), 64);
        request->result.store(Request::kRunning);
        dma.submit(request);
        while (request->result.load() == Request::kRunning) std::this_thread::yield();
        return request->result.load();
      };
      for (int i = 0; i < kRequestsPerThread; ++i) {
        const auto value = static_cast<std::byte>(i);
        const int wrote = transfer(true, value);
        CHECK(wrote == 0 || wrote == ECANCELED);
        const int read = transfer(false, value);
        CHECK(read == 0 || read == ECANCELED);
        if (wrote == 0 && read == 0) {
          CHECK(request->data[0] == value && request->data[63] == value);
          answered.fetch_add(1);
        }
      }
      running.fetch_sub(1);
    });
  }
  for (uint64_t turn = 0; running.load() > 0; ++turn) {
    if (woken.exchange(0) > 0) dma.serve();
    if (turn % 64 == 0) dma.cancel(kSlot, 1);
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(answered.load() >= (kThreads - 1) * kRequestsPerThread);
}

std::shared_ptr<Request> submitted(CallbackDma& dma, uint64_t address) {
  auto request = std::make_shared<Request>();
  request->address = address;
  request->count = 8;
  dma.submit(request);
  return request;
}

/// What an answer does to its own request, and to the others.
void answersMayEndThemselves() {
  CallbackDma* self = nullptr;
  int answers = 0;
  CallbackDma dma(
      [&](bool, uint64_t address, std::span<std::byte>) {
        ++answers;
        if (address == 0) self->cancel(0, 1);
        if (address == 100) self->close();
        return 0;
      },
      [] {});
  self = &dma;
  const auto first = submitted(dma, 0);
  const auto second = submitted(dma, 50);
  const auto third = submitted(dma, 100);
  const auto fourth = submitted(dma, 150);
  dma.serve();
  CHECK(first->result.load() == ECANCELED);
  CHECK(second->result.load() == 0);
  CHECK(third->result.load() == ECANCELED);
  CHECK(fourth->result.load() == ECANCELED);
  CHECK(answers == 3);
  CHECK(submitted(dma, 0)->result.load() == ECANCELED);
}

/// One turn is bounded, and what a given up owner submits is never answered.
void turnsAreBounded() {
  int answers = 0;
  int woken = 0;
  CallbackDma dma(
      [&](bool, uint64_t, std::span<std::byte>) {
        ++answers;
        return EFAULT;
      },
      [&] { ++woken; });
  std::vector<std::shared_ptr<Request>> requests;
  for (uint32_t i = 0; i <= CallbackDma::kTurn; ++i) requests.push_back(submitted(dma, i));
  CHECK(woken == 1);
  dma.serve();
  CHECK(answers == CallbackDma::kTurn && woken == 2);
  dma.serve();
  CHECK(answers == CallbackDma::kTurn + 1 && woken == 2);
  CHECK(requests.back()->result.load() == EFAULT);

  MessageOwner owner;
  owner.abandonedBefore.store(5);
  auto request = std::make_shared<Request>();
  request->owner = &owner;
  request->sequence = 4;
  request->count = 1;
  dma.submit(request);
  CHECK(request->result.load() == ECANCELED);
  request->result.store(Request::kRunning);
  request->sequence = 5;
  dma.submit(request);
  owner.abandonedBefore.store(6);
  dma.cancelAbandoned();
  CHECK(request->result.load() == ECANCELED);
}

}  // namespace

int main() {
  answersMayEndThemselves();
  turnsAreBounded();
  threadsAreAnswered();
  return 0;
}
