// A descriptor that does not let itself be closed.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "base/file_descriptor.h"
#include "check.h"

namespace mdev::test {

/// A TCP connection to ourselves whose other side reads nothing: close(2) of `take()` waits until `letGo`, or for a
/// minute. Any client can make one.
class LingeringSocket {
 public:
  LingeringSocket() {
    const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(listener);
    const int small = 2048;
    CHECK(::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    CHECK(::listen(listener.get(), 1) == 0);
    near_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(::connect(near_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    far_ = FileDescriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    CHECK(far_);
    const std::array<char, 65536> data{};
    while (::send(near_.get(), data.data(), data.size(), MSG_DONTWAIT) > 0) {
    }
    const linger wait{1, 60};
    CHECK(::setsockopt(near_.get(), SOL_SOCKET, SO_LINGER, &wait, sizeof wait) == 0);
  }

  FileDescriptor take() { return std::move(near_); }
  /// The other side resets the connection: whoever closes may go on.
  void letGo() { far_.reset(); }

 private:
  FileDescriptor near_;
  FileDescriptor far_;
};

}  // namespace mdev::test
