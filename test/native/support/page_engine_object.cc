// The addon, and in it an engine that works by PASID and asks for the pages that it misses: one thread, which parks an
// access while its page is asked for and does others.
#include <napi.h>

// Its own entry point is below.
#undef NODE_API_MODULE
#define NODE_API_MODULE(name, init)
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "addon.cc"
#include "core/device_core.h"
#include "sva/page_request_channel.h"
#include "sva/pasid_guard.h"

namespace {

struct Queue;

/// A load or a store of 8 bytes.
struct Access final : mdev::PageRequest, std::enable_shared_from_this<Access> {
  explicit Access(std::shared_ptr<Queue> owner) : queue(std::move(owner)) {}
  void answered(mdev::PageResponse response) override;

  const std::shared_ptr<Queue> queue;
  uint64_t value = 0;
  uint32_t asked = 0;
  mdev::PageResponse last = mdev::PageResponse::success;
  enum class End : uint8_t { none, done, fault };
  /// Set last, by the engine.
  std::atomic<End> end{End::none};
};

/// What the engine has to do. Accesses that wait for an answer keep it, longer than the engine lives if need be.
struct Queue {
  void push(std::shared_ptr<Access> access) {
    const std::lock_guard lock(mutex);
    ready.push_back(std::move(access));
    changed.notify_one();
  }
  std::shared_ptr<Access> pop() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return stopped || !ready.empty(); });
    if (stopped) return nullptr;
    std::shared_ptr<Access> next = std::move(ready.front());
    ready.pop_front();
    return next;
  }
  /// Its memory's owner keeps readers out: until `recall`.
  void putAway(std::shared_ptr<Access> access) {
    const std::lock_guard lock(mutex);
    away.push_back(std::move(access));
  }
  void recall() {
    const std::lock_guard lock(mutex);
    for (std::shared_ptr<Access>& access : away) ready.push_back(std::move(access));
    away.clear();
    changed.notify_one();
  }
  void stop() {
    const std::lock_guard lock(mutex);
    stopped = true;
    changed.notify_one();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Access>> ready;
  std::vector<std::shared_ptr<Access>> away;
  bool stopped = false;
};

void Access::answered(mdev::PageResponse response) {
  last = response;
  queue->push(shared_from_this());
}

/// `new PageEngine(core)`, `start(pasid, iova, rights, pages, value, privileged)`, `result(number)`, `close()`.
class PageEngine : public Napi::ObjectWrap<PageEngine> {
 public:
  explicit PageEngine(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<PageEngine>(info),
        table_(mdev::unwrapDevice(info.Env(), info[0])->pasids()),
        thread_([table = table_, queue = queue_] { run(*table, *queue); }) {}
  ~PageEngine() override { stop(); }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "PageEngine",
                       {InstanceMethod<&PageEngine::start>("start"), InstanceMethod<&PageEngine::result>("result"),
                        InstanceMethod<&PageEngine::close>("close")});
  }

 private:
  Napi::Value start(const Napi::CallbackInfo& info) {
    const auto access = std::make_shared<Access>(queue_);
    bool lossless = true;
    access->pasid = info[0].As<Napi::Number>().Uint32Value();
    access->iova = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
    access->rights = info[2].As<Napi::Number>().Uint32Value();
    access->pages = info[3].As<Napi::Number>().Uint32Value();
    access->value = info[4].As<Napi::BigInt>().Uint64Value(&lossless);
    access->privileged = info[5].As<Napi::Boolean>().Value();
    accesses_.push_back(access);
    queue_->push(access);
    return Napi::Number::New(info.Env(), static_cast<double>(accesses_.size() - 1));
  }

  /// Undefined before its end.
  Napi::Value result(const Napi::CallbackInfo& info) {
    const Access& access = *accesses_.at(info[0].As<Napi::Number>().Uint32Value());
    const Access::End end = access.end.load(std::memory_order_acquire);
    if (end == Access::End::none) return info.Env().Undefined();
    Napi::Object result = Napi::Object::New(info.Env());
    result["done"] = Napi::Boolean::New(info.Env(), end == Access::End::done);
    result["value"] = Napi::BigInt::New(info.Env(), access.value);
    result["asked"] = Napi::Number::New(info.Env(), access.asked);
    result["response"] = Napi::Number::New(info.Env(), static_cast<double>(access.last));
    return result;
  }

  void close(const Napi::CallbackInfo&) { stop(); }

  void stop() {
    queue_->stop();
    if (thread_.joinable()) thread_.join();
  }

  static void run(const mdev::PasidTable& table, Queue& queue) {
    mdev::PasidReader reader([&queue] { queue.recall(); });
    while (const std::shared_ptr<Access> access = queue.pop()) {
      if (access->last != mdev::PageResponse::success) {
        access->end.store(Access::End::fault, std::memory_order_release);
        continue;
      }
      const Outcome outcome = tryAccess(reader, table, *access);
      if (outcome == Outcome::done) {
        access->end.store(Access::End::done, std::memory_order_release);
      } else if (outcome == Outcome::excluded) {
        queue.putAway(access);
        if (mdev::PasidGuard::admits(reader, table, access->pasid)) queue.recall();
      } else if (table.requests() == nullptr || access->asked == kTries) {
        access->end.store(Access::End::fault, std::memory_order_release);
      } else {
        ++access->asked;
        table.requests()->submit(access);
      }
    }
  }

  enum class Outcome : uint8_t { done, missing, excluded };

  static Outcome tryAccess(mdev::PasidReader& reader, const mdev::PasidTable& table, Access& access) {
    const mdev::PasidGuard guard(reader, table, access.pasid);
    if (guard.state() != mdev::PasidState::found) {
      return guard.state() == mdev::PasidState::excluded ? Outcome::excluded : Outcome::missing;
    }
    mdev::IovaCache found;
    const mdev::Translation piece = guard.space().translate(access.iova, sizeof access.value, access.rights, &found);
    if (piece.kind != mdev::Translation::Kind::mapped || piece.length != sizeof access.value) return Outcome::missing;
    if ((access.rights & mdev::kDmaWrite) != 0) {
      std::memcpy(piece.pointer, &access.value, sizeof access.value);
    } else {
      std::memcpy(&access.value, piece.pointer, sizeof access.value);
    }
    return Outcome::done;
  }

  /// Page requests of one access, which is more than an engine makes that is answered well.
  static constexpr uint32_t kTries = 4;

  const std::shared_ptr<mdev::PasidTable> table_;
  const std::shared_ptr<Queue> queue_ = std::make_shared<Queue>();
  std::vector<std::shared_ptr<Access>> accesses_;
  std::thread thread_;
};

}  // namespace

NAPI_MODULE_INIT() {
  return Napi::RegisterModule(env, exports, [](Napi::Env environment, Napi::Object names) {
    Napi::Object filled = Init(environment, names);
    filled.Set("PageEngine", PageEngine::define(environment));
    return filled;
  });
}
