// Reading and writing what a suspended device or connection consists of, field by field. Little-endian, without
// padding.
//
// A type says once, in a static `exchange(self, archive)`, what it consists of; the same text writes and reads it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace mdev {

static_assert(std::endian::native == std::endian::little, "the state is little-endian");

/// Collects bytes. Throws std::bad_alloc.
class StateWriter {
 public:
  static constexpr bool kReads = false;

  /// An integer.
  template <typename T>
  void value(const T& field) {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    bytes({reinterpret_cast<const std::byte*>(&field), sizeof field});
  }
  /// A bool, or an enumeration of bytes up to `most`.
  template <typename T>
  void choice(const T& field, uint8_t = 1) {
    value(static_cast<uint8_t>(field));
  }
  void bytes(std::span<const std::byte> field) { bytes_.insert(bytes_.end(), field.begin(), field.end()); }
  /// What a reader refuses the state for when it does not hold.
  void require(bool) {}

  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Takes bytes that anybody may have made up. What is missing reads as zeros; `good` says that nothing was missing, and
/// that everything was as required.
class StateReader {
 public:
  static constexpr bool kReads = true;

  explicit StateReader(std::span<const std::byte> state) : rest_(state) {}

  template <typename T>
  void value(T& field) {
    static_assert(std::is_integral_v<T> && !std::is_same_v<T, bool>);
    bytes({reinterpret_cast<std::byte*>(&field), sizeof field});
  }
  template <typename T>
  void choice(T& field, uint8_t most = 1) {
    uint8_t number = 0;
    value(number);
    require(number <= most);
    field = static_cast<T>(good_ ? number : 0);
  }
  void bytes(std::span<std::byte> field) {
    if (rest_.size() < field.size()) {
      good_ = false;
      rest_ = {};
    }
    if (!good_) {
      std::fill(field.begin(), field.end(), std::byte{0});
      return;
    }
    std::copy_n(rest_.begin(), field.size(), field.begin());
    rest_ = rest_.subspan(field.size());
  }
  void require(bool condition) { good_ = good_ && condition; }

  bool good() const { return good_; }
  /// Bytes that are left: nothing that still comes can have more elements than this.
  std::size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool good_ = true;
};

/// The number of elements that follow, at most `most`, each of at least one byte.
inline uint32_t exchangeCount(StateWriter& archive, std::size_t count, uint32_t) {
  const auto number = static_cast<uint32_t>(count);
  archive.value(number);
  return number;
}
inline uint32_t exchangeCount(StateReader& archive, std::size_t, uint32_t most) {
  uint32_t number = 0;
  archive.value(number);
  archive.require(number <= most && number <= archive.left());
  return archive.good() ? number : 0;
}

}  // namespace mdev
