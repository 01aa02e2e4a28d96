// uio_intx: drives the INTx device of test/guest/support/intx-device.ts through uio_pci_generic.
//
// usage: uio_intx SYSFS_DEVICE UIO ROUNDS
//
// The kernel's handler masks the function with COMMAND.interruptDisable at each interrupt and counts it; this program
// services the device and takes the mask away. It checks every count, and ends with 1 at the first that is wrong.

#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DOORBELL = 0x00, STATUS = 0x04 };     // registers of BAR 0; STATUS is 1 until 1 is written to it
enum { COMMAND = 0x04, PCI_STATUS = 0x06 };  // config space
enum { INTERRUPT_DISABLE = 1 << 10, INTERRUPT_STATUS = 1 << 3 };
enum { PATIENCE_MS = 20000 };

static volatile uint32_t* bar;
static int config, uio;
static uint32_t seen;  // interrupts that this program knows of

static uint16_t config_read(off_t at) {
  uint16_t value;
  if (pread(config, &value, sizeof value, at) != sizeof value) err(1, "read config space at %#lx", (long)at);
  return value;
}

static void set_masked(int masked) {
  uint16_t command = config_read(COMMAND);
  command = masked ? command | INTERRUPT_DISABLE : command & ~INTERRUPT_DISABLE;
  if (pwrite(config, &command, sizeof command, COMMAND) != sizeof command) err(1, "write COMMAND");
}

static void expect_status(int pending) {
  if (bar[STATUS / 4] != (uint32_t)pending) errx(1, "STATUS is not %d", pending);
  const int shown = (config_read(PCI_STATUS) & INTERRUPT_STATUS) != 0;
  if (shown != pending) errx(1, "STATUS.interruptStatus is not %d", pending);
}

// Waits for exactly one interrupt, after which the function is masked.
static void expect_interrupt(const char* when) {
  struct pollfd ready = {.fd = uio, .events = POLLIN};
  if (poll(&ready, 1, PATIENCE_MS) != 1) errx(1, "%s: interrupt %u is lost", when, seen + 1);
  uint32_t count;
  if (read(uio, &count, sizeof count) != sizeof count) err(1, "read uio");
  if (count != ++seen) errx(1, "%s: interrupt %u is counted as %u", when, seen, count);
  if (!(config_read(COMMAND) & INTERRUPT_DISABLE)) errx(1, "%s: the handler has not masked the function", when);
}

static void expect_none(const char* when) {
  struct pollfd ready = {.fd = uio, .events = POLLIN};
  if (poll(&ready, 1, 0) != 0) errx(1, "%s: an interrupt too many after %u", when, seen);
}

static void service(void) {
  bar[STATUS / 4] = 1;
  expect_status(0);
}

int main(int argc, char** argv) {
  if (argc != 4) errx(2, "usage: uio_intx SYSFS_DEVICE UIO ROUNDS");
  const int rounds = atoi(argv[3]);
  char path[256];
  snprintf(path, sizeof path, "%s/config", argv[1]);
  if ((config = open(path, O_RDWR)) < 0) err(1, "%s", path);
  snprintf(path, sizeof path, "%s/resource0", argv[1]);
  const int resource = open(path, O_RDWR);
  if (resource < 0) err(1, "%s", path);
  bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
  if (bar == MAP_FAILED) err(1, "map %s", path);
  if ((uio = open(argv[2], O_RDWR)) < 0) err(1, "%s", argv[2]);

  expect_status(0);
  for (int round = 0; round < rounds; ++round) {
    bar[DOORBELL / 4] = 1;
    expect_interrupt("serviced");
    expect_status(1);
    service();
    set_masked(0);
  }

  // Nobody services the device: one interrupt for each time that the mask is taken away, whether the VMM has seen an
  // access to the BAR, which is when it unmasks the line, or not.
  bar[DOORBELL / 4] = 1;
  expect_interrupt("first of those not serviced");
  for (int round = 0; round < rounds; ++round) {
    if (round % 2 == 0) expect_status(1);
    expect_none("masked");
    set_masked(0);
    expect_interrupt("not serviced");
  }
  service();
  set_masked(0);

  // Masked when the device raises it: nothing comes, unless it is still raised when the mask is taken away.
  for (int round = 0; round < rounds; ++round) {
    set_masked(1);
    bar[DOORBELL / 4] = 1;
    expect_status(1);
    if (round % 2 == 0) {
      service();
      set_masked(0);
      expect_none("raised and serviced under the mask");
    } else {
      expect_none("raised under the mask");
      set_masked(0);
      expect_interrupt("mask taken away");
      service();
      set_masked(0);
    }
  }
  expect_none("at the end");
  printf("%u\n", seen);
  return 0;
}
