#include "transport/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace mdev {

namespace {

[[noreturn]] void fail(int code, const std::string& what) {
  throw SocketError(code, what + ": " + std::strerror(code));
}

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) throw SocketError(EINVAL, "the socket path is empty");
  if (path.find('\0') != std::string::npos) throw SocketError(EINVAL, "the socket path contains a NUL byte");
  if (path.size() >= sizeof address.sun_path) {
    throw SocketError(ENAMETOOLONG, "socket path " + path + " has " + std::to_string(path.size()) +
                                        " bytes; a UNIX socket's path has at most " +
                                        std::to_string(sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

FileDescriptor newSocket() {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) fail(errno, "cannot create a UNIX socket");
  return socket;
}

/// 0 when somebody accepts connections at the address, otherwise the errno of connect (EAGAIN: somebody is there, but
/// busy).
int probe(const sockaddr_un& address) {
  const FileDescriptor socket = newSocket();
  const int result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return result == 0 ? 0 : errno;
}

/// Keeps other servers out of the directory between looking at the path and listening there: without it, two that start
/// at once could take each other's socket for a stale one. A directory that cannot be opened for reading is used
/// without.
FileDescriptor lockDirectory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  FileDescriptor lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return lock;
  // Others hold it for a few system calls only.
  for (int attempt = 0; ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK || attempt == 1000) {
      fail(errno == EWOULDBLOCK ? EADDRINUSE : errno, "cannot lock " + directory + " while the socket is created");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return lock;
}

/// What is at a path, symbolic links not followed. `statx`, because `lstat` binds to a symbol that older systems lack.
bool look(const std::string& path, struct statx& file) {
  return ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO, &file) == 0;
}

dev_t deviceOf(const struct statx& file) { return makedev(file.stx_dev_major, file.stx_dev_minor); }

/// Removes a socket file that nobody listens at; throws when the path is in use.
void removeStale(const std::string& path, const sockaddr_un& address) {
  struct statx file {};
  if (!look(path, file)) fail(errno, "cannot look at socket path " + path);
  if (!S_ISSOCK(file.stx_mode)) throw SocketError(EADDRINUSE, "socket path " + path + " exists and is no socket");
  const int error = probe(address);
  if (error == 0 || error == EAGAIN)
    throw SocketError(EADDRINUSE, "socket path " + path + " is in use by a live server");
  if (error != ECONNREFUSED) fail(error, "cannot tell whether socket path " + path + " is in use");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail(errno, "cannot remove the stale socket " + path);
}

}  // namespace

ListeningSocket ListeningSocket::at(const std::string& path) {
  const sockaddr_un address = addressOf(path);
  ListeningSocket listening(newSocket());
  // On Linux the file that bind creates takes the mode of the socket, so that it is never open to others.
  if (::fchmod(listening.fd(), 0600) != 0) fail(errno, "cannot restrict socket path " + path);

  const FileDescriptor lock = lockDirectory(path);
  const auto bind = [&] {
    return ::bind(listening.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  };
  int error = bind();
  if (error == EADDRINUSE) {
    removeStale(path, address);
    error = bind();
  }
  if (error == ENOENT) throw SocketError(error, "socket path " + path + ": its directory does not exist");
  if (error != 0) fail(error, "cannot create socket path " + path);

  struct statx file {};
  if (!look(path, file)) fail(errno, "cannot look at socket path " + path);
  listening.path_ = path;
  listening.device_ = deviceOf(file);
  listening.inode_ = file.stx_ino;
  if (::listen(listening.fd(), SOMAXCONN) != 0) fail(errno, "cannot listen at socket path " + path);
  return listening;
}

ListeningSocket ListeningSocket::adopt(FileDescriptor socket) { return ListeningSocket(std::move(socket)); }

ListeningSocket ListeningSocket::adopt(FileDescriptor socket, const std::string& path) {
  ListeningSocket listening(std::move(socket));
  struct statx file {};
  if (look(path, file) && S_ISSOCK(file.stx_mode)) {
    listening.path_ = path;
    listening.device_ = deviceOf(file);
    listening.inode_ = file.stx_ino;
  }
  return listening;
}

ListeningSocket::~ListeningSocket() {
  if (!socket_ || path_.empty()) return;
  struct statx file {};
  // Somebody may have put another socket there meanwhile.
  if (look(path_, file) && deviceOf(file) == device_ && file.stx_ino == inode_) ::unlink(path_.c_str());
}

ForeignFd ListeningSocket::accept(int& error) {
  int client;
  do {
    client = ::accept4(fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    error = client >= 0 ? 0 : errno;
  } while (error == EINTR);
  return {client, socket_.closer()};
}

FileDescriptor connectUnix(const std::string& path) {
  const sockaddr_un address = addressOf(path);
  FileDescriptor socket = newSocket();
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) fail(errno, "cannot connect to socket path " + path);
  }
  return socket;
}

SocketRole prepareSocket(int fd) {
  const std::string name = "file descriptor " + std::to_string(fd);
  const auto option = [&](int which) {
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(fd, SOL_SOCKET, which, &value, &size) != 0) {
      const int error = errno;
      if (error == ENOTSOCK) throw SocketError(EINVAL, name + " is no socket; expected a UNIX stream socket");
      fail(error, name);
    }
    return value;
  };
  if (option(SO_DOMAIN) != AF_UNIX || option(SO_TYPE) != SOCK_STREAM) {
    throw SocketError(EINVAL, name + " is a socket of another kind; expected a UNIX stream socket");
  }
  SocketRole role = SocketRole::listening;
  if (option(SO_ACCEPTCONN) == 0) {
    sockaddr_un peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
      throw SocketError(ENOTCONN, name + " is a socket that neither listens nor is connected");
    }
    role = SocketRole::connected;
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) fail(errno, name);
  return role;
}

namespace {

ucred peerOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    fail(errno, "cannot tell who is at the other side of file descriptor " + std::to_string(fd));
  }
  return peer;
}

}  // namespace

pid_t peerProcess(int fd) { return peerOf(fd).pid; }

uid_t peerUser(int fd) { return peerOf(fd).uid; }

}  // namespace mdev
