#include "dsa/operations/operation.h"

#include "dsa/opcode.h"

namespace mdev::dsa {

Operation operationOf(uint8_t opcode) {
  switch (opcode) {
    case kOpMemoryMove:
      return memoryMove;
    case kOpFill:
      return fill;
    case kOpCompare:
      return compare;
    case kOpComparePattern:
      return comparePattern;
    case kOpDualcast:
      return dualcast;
    case kOpCrcGeneration:
      return crcGeneration;
    case kOpCopyWithCrc:
      return copyWithCrc;
    default:
      return nullptr;
  }
}

}  // namespace mdev::dsa
