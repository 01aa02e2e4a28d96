#include "dsa/typed/arithmetic.h"

#include <algorithm>
#include <cstring>

#include "dsa/typed/number.h"

namespace mdev::dsa {
namespace {

/// Holds the sum of two integers of 64 bits, negated or not.
using Integer = __int128;

uint64_t load(const std::byte* from, uint32_t size) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, size);
  return bits;
}

void store(std::byte* to, uint64_t bits, uint32_t size) { std::memcpy(to, &bits, size); }

Integer integerOf(uint64_t bits, uint32_t size, bool isSigned) {
  if (!isSigned) return bits;
  const unsigned unused = 64 - 8 * size;
  return static_cast<int64_t>(bits << unused) >> unused;
}

uint64_t fit(Integer value, uint32_t size, ComputeFlags flags, uint8_t& exceptions) {
  const unsigned bits = 8 * size - (flags.isSigned() ? 1 : 0);
  const Integer most = (Integer{1} << bits) - 1;
  const Integer least = flags.isSigned() ? -most - 1 : 0;
  if (value < least || value > most) {
    exceptions |= kOverflow;
    if (flags.saturates()) value = value < least ? least : most;
  }
  return static_cast<uint64_t>(value);
}

Integer computed(Compute compute, Integer left, Integer right) {
  switch (compute) {
    case Compute::add:
      return left + right;
    case Compute::bitwiseAnd:
      return left & right;
    case Compute::bitwiseOr:
      return left | right;
    case Compute::bitwiseXor:
      return left ^ right;
    case Compute::minimum:
      return std::min(left, right);
    case Compute::maximum:
      return std::max(left, right);
  }
  return left;
}

/// Neither is asked for bitwise computations, which floating-point types do not have.
Number computed(Compute compute, const Number& left, const Number& right, Rounding rounding, uint8_t& exceptions) {
  if (compute == Compute::minimum) return minimum(left, right);
  if (compute == Compute::maximum) return maximum(left, right);
  return add(left, right, rounding, exceptions);
}

/// Elements of an integer type.
struct Integers {
  using Value = Integer;
  DataType type;
  ComputeFlags flags;

  Integer operand(const std::byte* at, uint8_t&) const { return result(at); }
  Integer result(const std::byte* at) const {
    return integerOf(load(at, sizeOf(type)), sizeOf(type), flags.isSigned());
  }
  static Integer negated(Integer value) { return -value; }
  Integer compute(Compute what, Integer left, Integer right, uint8_t&) const { return computed(what, left, right); }
  void put(std::byte* at, Integer value, uint8_t& exceptions) const {
    store(at, fit(value, sizeOf(type), flags, exceptions), sizeOf(type));
  }
};

/// Elements of a floating-point type.
struct Floats {
  using Value = Number;
  DataType type;
  ComputeFlags flags;

  Number operand(const std::byte* at, uint8_t& exceptions) const {
    return unpackOperand(formatOf(type), load(at, sizeOf(type)), flags.takesDenormalsAsZero(), exceptions);
  }
  Number result(const std::byte* at) const { return unpack(formatOf(type), load(at, sizeOf(type))); }
  static Number negated(Number value) {
    value.negative = !value.negative;
    return value;
  }
  Number compute(Compute what, const Number& left, const Number& right, uint8_t& exceptions) const {
    return computed(what, left, right, flags.rounding(), exceptions);
  }
  void put(std::byte* at, const Number& value, uint8_t& exceptions) const {
    store(at, pack(formatOf(type), value, flags, exceptions), sizeOf(type));
  }
};

/// Calls `action` with the kind of elements that the type has.
template <typename Action>
void withElements(DataType type, ComputeFlags flags, Action action) {
  if (isFloat(type)) {
    action(Floats{type, flags});
  } else {
    action(Integers{type, flags});
  }
}

template <typename Elements>
Elements ofType(const Elements& elements, DataType type) {
  return {type, elements.flags};
}

template <typename Elements>
typename Elements::Value operandOf(const Elements& from, const std::byte* at, bool negate, uint8_t& exceptions) {
  const typename Elements::Value value = from.operand(at, exceptions);
  return negate ? Elements::negated(value) : value;
}

}  // namespace

void Arithmetic::convert(const std::byte* from, std::byte* to, uint32_t count, uint8_t& exceptions) const {
  withElements(from_, flags_, [&](const auto& source) {
    const auto target = ofType(source, to_);
    for (uint32_t i = 0; i < count; ++i) {
      target.put(to + i * sizeOf(to_), operandOf(source, from + i * sizeOf(from_), flags_.negatesFirst(), exceptions),
                 exceptions);
    }
  });
}

void Arithmetic::compute(const std::byte* first, const std::byte* second, std::byte* to, uint32_t count,
                         uint8_t& exceptions) const {
  withElements(from_, flags_, [&](const auto& source) {
    const auto between = ofType(source, between_);
    const auto target = ofType(source, to_);
    for (uint32_t i = 0; i < count; ++i) {
      const auto left = operandOf(source, first + i * sizeOf(from_), flags_.negatesFirst(), exceptions);
      const auto right = operandOf(source, second + i * sizeOf(from_), flags_.negatesSecond(), exceptions);
      std::byte element[sizeof(uint64_t)];
      between.put(element, between.compute(compute_, left, right, exceptions), exceptions);
      if (between_ == to_) {
        std::memcpy(to + i * sizeOf(to_), element, sizeOf(to_));
      } else {
        target.put(to + i * sizeOf(to_), between.result(element), exceptions);
      }
    }
  });
}

void Arithmetic::begin(const std::byte* operand, std::byte* accumulators, uint32_t count, uint8_t& exceptions) const {
  Arithmetic(from_, between_, flags_).convert(operand, accumulators, count, exceptions);
}

void Arithmetic::accumulate(const std::byte* operand, std::byte* accumulators, uint32_t count,
                            uint8_t& exceptions) const {
  withElements(from_, flags_, [&](const auto& source) {
    const auto between = ofType(source, between_);
    for (uint32_t i = 0; i < count; ++i) {
      std::byte* const own = accumulators + i * sizeOf(between_);
      const auto next = operandOf(source, operand + i * sizeOf(from_), flags_.negatesFirst(), exceptions);
      between.put(own, between.compute(compute_, between.result(own), next, exceptions), exceptions);
    }
  });
}

void Arithmetic::end(const std::byte* accumulators, std::byte* to, uint32_t count, uint8_t& exceptions) const {
  withElements(from_, flags_, [&](const auto& source) {
    const auto between = ofType(source, between_);
    const auto target = ofType(source, to_);
    for (uint32_t i = 0; i < count; ++i) {
      const auto value = between.result(accumulators + i * sizeOf(between_));
      if (between_ == to_) {
        std::memcpy(to + i * sizeOf(to_), accumulators + i * sizeOf(to_), sizeOf(to_));
      } else {
        target.put(to + i * sizeOf(to_), value, exceptions);
      }
    }
  });
}

}  // namespace mdev::dsa
