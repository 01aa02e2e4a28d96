// What the tests of the protocol share: messages, streams as Linux delivers
// them, and files that can be told apart.
#pragma once

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/fd_closer.h"
#include "base/file_descriptor.h"
#include "base/foreign_fd.h"
#include "check.h"
#include "vfio_user/protocol.h"

namespace vfio_user_test {

using mdev::FileDescriptor;
using mdev::ForeignFd;
using Bytes = std::vector<std::byte>;

inline void append(Bytes& to, std::span<const std::byte> bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

/// A message with a true size.
inline Bytes message(uint16_t id, uint16_t command, std::span<const std::byte> body = {}, uint32_t flags = 0) {
  Bytes bytes;
  const auto size = static_cast<uint32_t>(sizeof(mdev::vfio_user::Header) + body.size());
  append(bytes, mdev::vfio_user::encoded(mdev::vfio_user::Header{id, command, size, flags, 0}));
  append(bytes, body);
  return bytes;
}

template <typename Body>
requires std::is_trivially_copyable_v<Body> Bytes message(uint16_t id, uint16_t command, const Body& body,
                                                          uint32_t flags = 0) {
  return message(id, command, mdev::vfio_user::encoded(body), flags);
}

/// A file that no other descriptor of the test refers to.
inline FileDescriptor newFile() {
  FileDescriptor fd(::memfd_create("mdev-vfio-user-test", MFD_CLOEXEC));
  CHECK(fd);
  return fd;
}

inline ino_t identity(int fd) {
  struct stat file {};
  CHECK(::fstat(fd, &file) == 0);
  return file.st_ino;
}

/// Without those that are about to be closed.
inline int openFiles() {
  CHECK(mdev::FdCloser::drain(std::chrono::seconds(60)));
  DIR* directory = ::opendir("/proc/self/fd");
  CHECK(directory != nullptr);
  int count = -3;  // `.`, `..` and the directory itself
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

/// The receiving end of a UNIX stream socket, as Linux behaves: segments are
/// joined, fds come with the first byte of theirs that is read, and a read that
/// brought fds ends where their segment does.
class Stream {
 public:
  void send(Bytes bytes, std::vector<FileDescriptor> fds = {}) {
    segments_.push_back({std::move(bytes), 0, std::move(fds)});
  }
  bool empty() const { return segments_.empty(); }

  /// Of the fds that are read.
  std::shared_ptr<mdev::FdCloser> closer = std::make_shared<mdev::FdCloser>();

  /// Reads at most as much as `room` takes.
  std::pair<std::size_t, std::vector<ForeignFd>> read(std::span<std::byte> room) {
    std::size_t size = 0;
    std::vector<ForeignFd> fds;
    bool brought = false;
    while (size < room.size() && !segments_.empty()) {
      Segment& front = segments_.front();
      if (!front.fds.empty()) {
        for (FileDescriptor& fd : front.fds) fds.emplace_back(fd.release(), closer);
        front.fds.clear();
        brought = true;
      }
      const std::size_t count = std::min(front.bytes.size() - front.read, room.size() - size);
      std::memcpy(room.data() + size, front.bytes.data() + front.read, count);
      front.read += count;
      size += count;
      if (front.read < front.bytes.size()) break;
      segments_.pop_front();
      if (brought) break;
    }
    return {size, std::move(fds)};
  }

 private:
  struct Segment {
    Bytes bytes;
    std::size_t read;
    std::vector<FileDescriptor> fds;
  };
  std::deque<Segment> segments_;
};

/// Numbers from a fixed seed.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  /// From 0 to `bound` - 1.
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  bool chance(uint32_t percent) { return below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace vfio_user_test
