#include "page_requests_object.h"

#include <napi.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include "base/eventfd.h"

namespace mdev {

namespace {

bool ask(napi_env env, const JavaScriptHandler& handler, uint64_t number, const PageRequest& request) {
  const JavaScriptHandler::Visit visit(handler);
  if (!visit) return false;
  napi_value iova = nullptr;
  napi_value privileged = nullptr;
  if (napi_create_bigint_uint64(env, request.iova, &iova) != napi_ok ||
      napi_get_boolean(env, request.privileged, &privileged) != napi_ok) {
    return false;
  }
  return visit.call(0, {visit.number(static_cast<double>(number)), visit.number(request.pasid), iova,
                        visit.number(request.pages), visit.number(request.rights), privileged}) != nullptr;
}

}  // namespace

PageRequestsOfEngines::PageRequestsOfEngines(napi_env env, napi_value handler)
    : event_(std::make_shared<FileDescriptor>(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
  if (!*event_) throw std::system_error(errno, std::generic_category(), "eventfd");
  auto called = std::make_shared<JavaScriptHandler>(env, handler, std::initializer_list<const char*>{"request"});
  const auto self = std::make_shared<std::weak_ptr<PageRequestChannel>>();
  channel_ = std::make_shared<PageRequestChannel>(
      [env, self, called = std::move(called)](uint64_t number, const PageRequest& request) {
        if (ask(env, *called, number, request)) return;
        // What JavaScript threw is told; the engine does not wait for it.
        if (const auto channel = self->lock()) channel->respond(number, PageResponse::failure);
      },
      [event = event_] { signalEventfd(event->get()); });
  *self = channel_;
  poll_ = std::make_unique<Poll>(env, event_->get(), [event = event_, channel = *self](int, int) {
    uint64_t count = 0;
    if (::read(event->get(), &count, sizeof count) < 0) return;
    if (const auto served = channel.lock()) served->serve();
  });
  poll_->setReferenced(false);
  if (const int error = poll_->watch(UV_READABLE); error != 0) {
    throw std::system_error(-error, std::generic_category(), "watching an eventfd");
  }
}

PageRequestsOfEngines::~PageRequestsOfEngines() { channel_->close(); }

}  // namespace mdev
