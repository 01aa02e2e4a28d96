// A client that shrinks its file must not kill the server.
#pragma once

#include <atomic>
#include <cstddef>

namespace mdev {

/// While it lives, a SIGBUS at an address of the range sets `broken`, puts anonymous zero pages over the page at fault
/// and lets the access go on. Any other SIGBUS goes to the handler that was there before, or kills as by default. The
/// one handler of the process is installed with the first range and stays.
class SigbusRange {
 public:
  /// `base` and `size` are multiples of `pageSize`, the size of the file's pages (not the system's, for hugetlbfs).
  /// `broken` must outlive the range. Any thread. May throw std::bad_alloc.
  SigbusRange(std::byte* base, size_t size, size_t pageSize, std::atomic<bool>& broken);
  ~SigbusRange();
  SigbusRange(const SigbusRange&) = delete;
  SigbusRange& operator=(const SigbusRange&) = delete;

  struct Slot;

 private:
  Slot& slot_;
};

}  // namespace mdev
