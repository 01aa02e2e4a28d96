#include "unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fail.h"

enum { kReplySeconds = 10, kMaxFds = 16 };

static struct sockaddr_un address_of(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  REQUIRE(strlen(path) < sizeof address.sun_path, "socket path too long: %s", path);
  strcpy(address.sun_path, path);
  return address;
}

int unix_listen(const char* path) {
  // A floor server must not outlive the harness that started it.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  struct sockaddr_un address = address_of(path);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listener >= 0, "socket: %s", strerror(errno));
  REQUIRE(bind(listener, (struct sockaddr*)&address, sizeof address) == 0, "bind %s: %s", path, strerror(errno));
  REQUIRE(listen(listener, 4) == 0, "listen %s: %s", path, strerror(errno));
  printf("ready\n");
  fflush(stdout);
  return listener;
}

int unix_accept(int listener) {
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client >= 0) return client;
    REQUIRE(errno == EINTR || errno == ECONNABORTED, "accept: %s", strerror(errno));
  }
}

int unix_connect(const char* path) {
  struct sockaddr_un address = address_of(path);
  int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(client >= 0, "socket: %s", strerror(errno));
  REQUIRE(connect(client, (struct sockaddr*)&address, sizeof address) == 0, "connect %s: %s", path, strerror(errno));
  struct timeval limit = {.tv_sec = kReplySeconds};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return client;
}

void send_all(int socket, const void* bytes, size_t size) {
  const char* at = bytes;
  while (size > 0) {
    ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    REQUIRE(sent > 0, "send: %s", errno == EAGAIN ? "the server does not read" : strerror(errno));
    at += sent;
    size -= (size_t)sent;
  }
}

void send_with_fds(int socket, const void* bytes, size_t size, const int* fds, size_t count) {
  REQUIRE(count > 0 && count <= kMaxFds, "cannot send %zu descriptors", count);
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * kMaxFds)];
  } control;
  struct iovec vector = {.iov_base = (void*)bytes, .iov_len = size};
  struct msghdr message = {
      .msg_iov = &vector,
      .msg_iovlen = 1,
      .msg_control = control.space,
      .msg_controllen = CMSG_SPACE(sizeof(int) * count),
  };
  memset(&control, 0, sizeof control);
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
  memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
  ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  REQUIRE(sent > 0, "sendmsg: %s", strerror(errno));
  send_all(socket, (const char*)bytes + sent, size - (size_t)sent);
}

void receive_all(int socket, void* bytes, size_t size) {
  char* at = bytes;
  while (size > 0) {
    ssize_t got = recv(socket, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    REQUIRE(got != 0, "the server closed the connection");
    REQUIRE(got > 0, "recv: %s", errno == EAGAIN ? "the server does not answer" : strerror(errno));
    at += got;
    size -= (size_t)got;
  }
}
