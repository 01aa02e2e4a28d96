// post_descriptor: writes one descriptor to the limited portal of work queue 0, beside the driver that has the device.
//
// usage: post_descriptor SYSFS_DEVICE
//
// A no-op whose completion record is not aligned: a device tells of it by an error alone.

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LIMITED_PORTAL = 0x1000, PAGE = 4096 };
enum { RECORD_VALID = 1 << 2, REQUEST_RECORD = 1 << 3 };

int main(int argc, char** argv) {
  if (argc != 2) errx(1, "usage: post_descriptor SYSFS_DEVICE");
  char path[256];
  snprintf(path, sizeof path, "%s/resource2", argv[1]);
  const int resource = open(path, O_RDWR);
  if (resource < 0) err(1, "%s", path);
  volatile uint64_t* portal = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, resource, LIMITED_PORTAL);
  if (portal == MAP_FAILED) err(1, "map %s", path);
  const uint64_t descriptor[8] = {(uint64_t)(RECORD_VALID | REQUEST_RECORD) << 32, 0x10};
  for (int word = 0; word < 8; ++word) portal[word] = descriptor[word];
  return 0;
}
