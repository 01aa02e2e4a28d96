// Floor F: what any server of a 4-byte REGION_READ must pay at least. One recv of the request and one send of the
// reply, nothing else.

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "unix_socket.h"
#include "wire.h"

int main(int argc, char** argv) {
  REQUIRE(argc == 2, "usage: floor-echo SOCKET");
  int listener = unix_listen(argv[1]);
  char request[kRead4Request];
  char reply[kRead4Reply];
  memset(reply, 0, sizeof reply);
  for (;;) {
    int client = unix_accept(listener);
    while (recv(client, request, sizeof request, 0) == sizeof request &&
           send(client, reply, sizeof reply, MSG_NOSIGNAL) == sizeof reply) {
    }
    close(client);
  }
}
