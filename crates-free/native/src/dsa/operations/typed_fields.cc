#include "dsa/operations/typed_fields.h"

#include "dsa/status.h"

namespace mdev::dsa {

uint8_t checkTyped(const TypedFields& fields, bool computes, const TypedCapabilities& capabilities) {
  if (!capabilities.hasType(fields.from) || !capabilities.hasType(fields.to)) return kStatusFieldValue;
  const auto from = static_cast<DataType>(fields.from);
  if (!capabilities.converts(from, static_cast<DataType>(fields.to))) return kStatusFieldValue;
  if (!capabilities.allows(fields.flags, from)) return kStatusFieldValue;
  if (!computes) return 0;
  const auto compute = static_cast<Compute>(fields.compute);
  if (!capabilities.computes(compute) || (isBitwise(compute) && isFloat(from))) return kStatusFieldValue;
  return 0;
}

}  // namespace mdev::dsa
