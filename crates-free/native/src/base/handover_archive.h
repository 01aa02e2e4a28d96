// What one process gives another that goes on for it: fields, and the file descriptors that they name.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/foreign_fd.h"
#include "base/state_archive.h"

namespace mdev {

/// Collects fields, and descriptors that stay their owners'.
class HandoverWriter : public StateWriter {
 public:
  /// -1 is none.
  void fd(int descriptor) {
    value(descriptor < 0 ? uint32_t{0} : static_cast<uint32_t>(fds_.size() + 1));
    if (descriptor >= 0) fds_.push_back(descriptor);
  }
  /// In the order of their numbers.
  const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<int> fds_;
};

/// Takes fields and descriptors. Each descriptor can be taken once; those that are left are closed.
class HandoverReader : public StateReader {
 public:
  HandoverReader(std::span<const std::byte> bytes, std::vector<ForeignFd> fds)
      : StateReader(bytes), fds_(std::move(fds)) {}

  /// Empty for none.
  ForeignFd fd() {
    uint32_t number = 0;
    value(number);
    if (number == 0) return {};
    const bool known = number <= fds_.size() && fds_[number - 1];
    require(known);
    return known ? std::move(fds_[number - 1]) : ForeignFd();
  }
  /// Everything was as required, and nothing is left, no descriptor either.
  bool finished() const {
    for (const ForeignFd& fd : fds_) {
      if (fd) return false;
    }
    return good() && left() == 0;
  }

 private:
  std::vector<ForeignFd> fds_;
};

}  // namespace mdev
