// Checks for native tests: a plain main() that prints what failed and exits with 1.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>

namespace mdev::test {

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

/// A value as text; characters as numbers.
template <typename T>
std::string show(const T& value) {
  std::ostringstream text;
  if constexpr (sizeof(T) == 1 && requires { static_cast<int>(value); }) {
    text << static_cast<int>(value);
  } else if constexpr (requires { text << value; }) {
    text << value;
  } else {
    text << "(" << sizeof(T) << " bytes)";
  }
  return text.str();
}

template <typename A, typename B>
void equal(const char* file, int line, const char* expression, const A& actual, const B& expected) {
  if (!(actual == expected)) fail(file, line, std::string(expression) + ": " + show(actual) + " != " + show(expected));
}

}  // namespace mdev::test

/// `condition` holds.
#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) mdev::test::fail(__FILE__, __LINE__, "not: " #condition); \
  } while (false)

/// `actual` equals `expected`; prints both when not.
#define CHECK_EQUAL(actual, expected) \
  mdev::test::equal(__FILE__, __LINE__, #actual " == " #expected, (actual), (expected))

/// `expression` throws an exception of `type`.
#define CHECK_THROWS(type, expression)                                                      \
  do {                                                                                      \
    bool thrown = false;                                                                    \
    try {                                                                                   \
      static_cast<void>(expression);                                                        \
    } catch (const type&) {                                                                 \
      thrown = true;                                                                        \
    }                                                                                       \
    if (!thrown) mdev::test::fail(__FILE__, __LINE__, #expression " did not throw " #type); \
  } while (false)
