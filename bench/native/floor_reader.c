// Floor P: a one-way reader that takes one 4-byte REGION_WRITE per recv. A message that asks for a reply ends a sample:
// the sender waits for it.

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "unix_socket.h"
#include "wire.h"

int main(int argc, char** argv) {
  REQUIRE(argc == 2, "usage: floor-reader SOCKET");
  int listener = unix_listen(argv[1]);
  struct write4_message message;
  char reply[kRead4Reply];
  memset(reply, 0, sizeof reply);
  for (;;) {
    int client = unix_accept(listener);
    while (recv(client, &message, kWrite4Request, 0) == kWrite4Request) {
      if ((message.header.flags & kNoReply) == 0 && send(client, reply, sizeof reply, MSG_NOSIGNAL) != sizeof reply) {
        break;
      }
    }
    close(client);
  }
}
