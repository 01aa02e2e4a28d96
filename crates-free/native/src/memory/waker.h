// Who waits for guest memory that is fetched by message.
#pragma once

namespace mdev {

/// Who waits for replies. `wake` may come from any thread.
class Waker {
 public:
  virtual ~Waker() = default;
  virtual void wake() = 0;
};

}  // namespace mdev
