// sanitize: address,undefined
//
// The list of requests does what a deque would, and taking one out looks at no other that lies behind it.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "check.h"
#include "memory/message_list.h"

// Of the address sanitizer, whose header compilers do not always bring.
extern "C" void __asan_poison_memory_region(const volatile void* from, std::size_t size);
extern "C" void __asan_unpoison_memory_region(const volatile void* from, std::size_t size);

using namespace mdev;

namespace {

constexpr uint32_t kSeeds = 30;
constexpr uint32_t kSteps = 2000;
constexpr std::size_t kMost = 24;

class Request final : public MessageRequest {
 public:
  // Written out, so that making one does not clear the data.
  Request() {}
  void finished(int) override {}
};

using Reference = std::deque<MessageRequest*>;

void checkEqual(const MessageList& list, const Reference& reference) {
  const MessageRequest* at = list.front();
  for (const MessageRequest* expected : reference) {
    CHECK(at == expected);
    at = at->next.get();
  }
  CHECK(at == nullptr);
  CHECK(list.empty() == reference.empty());
}

/// Random steps on two lists. What is put behind them afterwards shows whether they know their ends.
void behavesAsADeque(uint32_t seed) {
  std::mt19937 random(seed);
  const auto roll = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  MessageList lists[2];
  Reference references[2];
  for (uint32_t step = 0; step < kSteps; ++step) {
    const std::size_t which = roll(2);
    MessageList& list = lists[which];
    MessageList& other = lists[1 - which];
    Reference& reference = references[which];
    Reference& otherReference = references[1 - which];
    switch (roll(8)) {
      default:
        if (reference.size() + otherReference.size() < kMost) {
          auto request = std::make_shared<Request>();
          request->sequence = random();
          reference.push_back(request.get());
          list.pushBack(std::move(request));
        }
        break;
      case 0:
        if (!reference.empty()) {
          CHECK(list.popFront().get() == reference.front());
          reference.pop_front();
        }
        break;
      case 1:
        list.append(other);
        reference.insert(reference.end(), otherReference.begin(), otherReference.end());
        otherReference.clear();
        break;
      case 2: {
        const uint64_t few = 2 + roll(3);
        const auto matches = [=](const MessageRequest& request) { return request.sequence % few == 0; };
        list.moveIf(matches, other);
        for (MessageRequest* request : reference) {
          if (matches(*request)) otherReference.push_back(request);
        }
        std::erase_if(reference, [&](const MessageRequest* request) { return matches(*request); });
        break;
      }
      case 3:
      case 4:
        if (!reference.empty()) {
          const auto place = reference.begin() + static_cast<std::ptrdiff_t>(roll(reference.size()));
          const std::shared_ptr<MessageRequest> taken = list.take(**place);
          CHECK(taken.get() == *place);
          CHECK(taken->next == nullptr);
          CHECK(other.take(*taken) == nullptr && list.take(*taken) == nullptr);
          reference.erase(place);
        }
        break;
    }
    checkEqual(lists[0], references[0]);
    checkEqual(lists[1], references[1]);
  }
}

/// Those behind it may not even be read; of those before it and of itself, the data may not.
void takingLooksNoFurther() {
  constexpr std::size_t kRequests = 8;
  for (std::size_t wanted = 0; wanted < kRequests; ++wanted) {
    MessageList list;
    std::vector<MessageRequest*> all;
    for (std::size_t i = 0; i < kRequests; ++i) {
      auto request = std::make_shared<Request>();
      all.push_back(request.get());
      list.pushBack(std::move(request));
    }
    for (std::size_t i = 0; i < kRequests; ++i) {
      if (i > wanted) __asan_poison_memory_region(all[i], sizeof(Request));
      if (i <= wanted) __asan_poison_memory_region(all[i]->data.data(), kMessageDmaMax);
    }
    const std::shared_ptr<MessageRequest> taken = list.take(*all[wanted]);
    for (MessageRequest* request : all) __asan_unpoison_memory_region(request, sizeof(Request));
    CHECK(taken.get() == all[wanted]);
  }
}

/// What is walked lies together, in front of the data.
void smallFieldsLieTogether() {
  const Request request;
  const auto place = [&](const auto& field) {
    return reinterpret_cast<const std::byte*>(&field) - reinterpret_cast<const std::byte*>(&request);
  };
  const std::ptrdiff_t places[] = {place(request.issued),  place(request.answered), place(request.next),
                                   place(request.address), place(request.count),    place(request.owner),
                                   place(request.sequence)};
  for (const std::ptrdiff_t at : places) CHECK(at < 128 && at < place(request.data));
}

}  // namespace

int main() {
  for (uint32_t seed = 1; seed <= kSeeds; ++seed) behavesAsADeque(seed);
  takingLooksNoFurther();
  smallFieldsLieTogether();
}
