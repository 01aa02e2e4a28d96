// The registers, commands and descriptor of the Data Streaming Accelerator that the benchmark uses (specification 1.0;
// section 9.2 for registers, 8.1 to 8.3 for descriptors and completion records).
#pragma once

#include <stdint.h>

/// VFIO region indices of the control registers (BAR0) and of the portals (BAR2).
enum { kRegisters = 0, kPortals = 2 };

enum {
  kGencap = 0x10,
  kWqcap = 0x20,
  kOffsets = 0x60,
  kCmd = 0xa0,
  kCmdStatus = 0xa8,
  kGrpcfgEngines = 32,
  kWqcfgModePriority = 8,
  kWqcfgLimits = 12,
};

enum { kCmdEnableDevice = 1, kCmdResetDevice = 5, kCmdEnableQueue = 6 };
#define GENCAP_CONFIGURABLE 0x80000000u
#define CMD_CODE(code) ((uint32_t)(code) << 20)
#define CMDSTATUS_ACTIVE 0x80000000u

enum opcode { kBatch = 0x01, kMove = 0x03, kFill = 0x04, kCompare = 0x05, kCrc = 0x10 };

/// Completion address valid, completion record requested, completion interrupt requested, cache control 1.
enum { kFlagAddressValid = 1 << 2, kFlagRecord = 1 << 3, kFlagInterrupt = 1 << 4, kFlagCacheControl = 1 << 8 };

enum { kStatusSuccess = 1 };

struct descriptor {
  uint32_t pasid;
  uint32_t flags_opcode;  ///< flags in 23:0, opcode in 31:24
  uint64_t completion;
  uint64_t source;       ///< pattern of a fill, list of a batch
  uint64_t destination;  ///< second source of a compare
  uint32_t size;         ///< descriptors of a batch
  uint16_t handle;
  uint16_t reserved;
  uint8_t expected;  ///< seed of a CRC: bytes 40 to 43
  uint8_t specific[23];
};

struct completion {
  uint8_t status;
  uint8_t result;
  uint8_t fault_info;
  uint8_t reserved;
  uint32_t bytes_completed;
  uint64_t fault_address;
  uint32_t crc;
  uint8_t specific[12];
};

_Static_assert(sizeof(struct descriptor) == 64 && sizeof(struct completion) == 32, "layouts of the specification");
_Static_assert(__builtin_offsetof(struct descriptor, expected) == 40, "operation-specific bytes start at 40");
