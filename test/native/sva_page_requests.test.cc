// sources: sva/*.cc memory/*.cc base/fd_closer.cc
// sanitize: thread
//
// Engines ask for pages while the owner answers, and closes: each request is answered exactly once.
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "sva/page_request_channel.h"

namespace {

using mdev::PageRequest;
using mdev::PageRequestChannel;
using mdev::PageResponse;

struct Request final : PageRequest {
  void answered(PageResponse response) override {
    last = response;
    answers.fetch_add(1, std::memory_order_release);
  }
  std::atomic<uint32_t> answers{0};
  PageResponse last = PageResponse::success;
};

void testAnswers() {
  uint32_t wakes = 0;
  std::vector<uint64_t> asked;
  PageRequestChannel channel(
      [&](uint64_t number, const PageRequest& request) {
        CHECK_EQUAL(request.pasid, 7u);
        asked.push_back(number);
      },
      [&] { ++wakes; });
  const auto make = [] {
    auto request = std::make_shared<Request>();
    request->pasid = 7;
    return request;
  };
  std::vector<std::shared_ptr<Request>> requests;
  for (uint32_t n = 0; n < PageRequestChannel::kTurn + 2; ++n) channel.submit(requests.emplace_back(make()));
  CHECK_EQUAL(wakes, 1u);
  channel.serve();
  CHECK_EQUAL(asked.size(), std::size_t{PageRequestChannel::kTurn});
  CHECK_EQUAL(wakes, 2u);
  CHECK(channel.respond(asked[1], PageResponse::invalid));
  CHECK(!channel.respond(asked[1], PageResponse::success));
  CHECK(!channel.respond(1000, PageResponse::success));
  CHECK(requests[1]->last == PageResponse::invalid);
  // Two are not asked for yet.
  channel.close();
  for (const auto& request : requests) {
    CHECK_EQUAL(request->answers.load(), 1u);
    CHECK(request == requests[1] || request->last == PageResponse::failure);
  }
  const auto late = make();
  channel.submit(late);
  CHECK(late->answers.load() == 1 && late->last == PageResponse::failure);
  channel.serve();
  channel.close();
  CHECK_EQUAL(late->answers.load(), 1u);
}

/// Who asks may answer at once, and may close.
void testAtOnce() {
  std::unique_ptr<PageRequestChannel> channel;
  bool closes = false;
  channel = std::make_unique<PageRequestChannel>(
      [&](uint64_t number, const PageRequest&) {
        if (closes) {
          channel->close();
        } else {
          CHECK(channel->respond(number, PageResponse::success));
        }
      },
      [] {});
  const auto request = std::make_shared<Request>();
  channel->submit(request);
  channel->serve();
  CHECK(request->answers.load() == 1 && request->last == PageResponse::success);
  closes = true;
  channel->submit(request);
  channel->serve();
  CHECK(request->answers.load() == 2 && request->last == PageResponse::failure);
}

void testThreads() {
  constexpr uint32_t kEngines = 3;
  constexpr uint32_t kEach = 20000;
  std::atomic<bool> woken{false};
  std::vector<uint64_t> waiting;
  std::mt19937_64 random(42);
  const auto channel =
      std::make_shared<PageRequestChannel>([&](uint64_t number, const PageRequest&) { waiting.push_back(number); },
                                           [&] { woken.store(true, std::memory_order_release); });
  std::atomic<uint32_t> done{0};
  std::vector<std::thread> engines;
  for (uint32_t engine = 0; engine < kEngines; ++engine) {
    engines.emplace_back([&, engine] {
      std::array<std::shared_ptr<Request>, 4> requests;
      for (auto& request : requests) {
        request = std::make_shared<Request>();
        request->pasid = engine;
      }
      std::array<uint32_t, 4> submitted{};
      for (uint32_t round = 0; round < kEach; ++round) {
        const std::size_t index = round % requests.size();
        while (requests[index]->answers.load(std::memory_order_acquire) != submitted[index]) std::this_thread::yield();
        ++submitted[index];
        channel->submit(requests[index]);
      }
      for (std::size_t index = 0; index < requests.size(); ++index) {
        while (requests[index]->answers.load(std::memory_order_acquire) != submitted[index]) std::this_thread::yield();
      }
      done.fetch_add(1);
    });
  }
  uint64_t answered = 0;
  while (done.load() != kEngines) {
    if (woken.exchange(false, std::memory_order_acq_rel)) channel->serve();
    // In any order, some later; and towards the end nobody answers any more.
    while (!waiting.empty() && random() % 8 != 0) {
      std::swap(waiting[random() % waiting.size()], waiting.back());
      CHECK(channel->respond(waiting.back(), random() % 2 == 0 ? PageResponse::success : PageResponse::invalid));
      waiting.pop_back();
      ++answered;
    }
    if (answered > kEngines * kEach / 2) {
      waiting.clear();
      channel->close();
      answered = 0;
    }
    std::this_thread::yield();
  }
  for (std::thread& engine : engines) engine.join();
}

}  // namespace

int main() {
  testAnswers();
  testAtOnce();
  testThreads();
}
