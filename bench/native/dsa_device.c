#include "dsa_device.h"

#include "dsa.h"
#include "fail.h"
#include "samples.h"

enum { kCommandSeconds = 5 };

/// Writes CMD and waits until CMDSTATUS is no longer active.
static void command(struct session* session, uint32_t code, uint32_t operand) {
  region_write32(session, kRegisters, kCmd, CMD_CODE(code) | operand);
  uint64_t limit = now_ns() + kCommandSeconds * 1000000000ull;
  uint32_t status;
  while ((status = region_read32(session, kRegisters, kCmdStatus)) & CMDSTATUS_ACTIVE) {
    REQUIRE(now_ns() < limit, "command %u does not end", code);
  }
  REQUIRE((status & 0xff) == 0, "command %u ended with error 0x%x", code, status & 0xff);
}

uint32_t dsa_enable_queue(struct session* session) {
  uint32_t offsets = region_read32(session, kRegisters, kOffsets);
  uint64_t grpcfg = (uint64_t)(offsets & 0xffff) * 0x100, wqcfg = (uint64_t)(offsets >> 16) * 0x100;
  uint32_t gencap = region_read32(session, kRegisters, kGencap);
  command(session, kCmdResetDevice, 0);
  if (gencap & GENCAP_CONFIGURABLE) {
    uint32_t transfer = gencap >> 16 & 0x1f, batch = gencap >> 21 & 0xf;
    region_write32(session, kRegisters, wqcfg, region_read32(session, kRegisters, kWqcap) & 0xffff);
    region_write32(session, kRegisters, wqcfg + kWqcfgModePriority, 1 | 10 << 4);  // dedicated, priority 10
    region_write32(session, kRegisters, wqcfg + kWqcfgLimits, transfer | batch << 5);
    region_write32(session, kRegisters, grpcfg, 1);
    region_write32(session, kRegisters, grpcfg + kGrpcfgEngines, 1);
  }
  command(session, kCmdEnableDevice, 0);
  command(session, kCmdEnableQueue, 0);
  return region_read32(session, kRegisters, wqcfg) & 0xffff;
}
