// Symbols that a newer C or C++ library would bring in without need. Defined here, and visible only here, so that the
// addon loads wherever Node.js itself does.
#include <cstdlib>

#define MDEV_LOCAL __attribute__((visibility("hidden")))

extern "C" {
/// glibc 2.32: std::shared_ptr skips atomic counting while it is true. It never is: there are engines.
MDEV_LOCAL char __libc_single_threaded = 0;
}

namespace std {
/// GLIBCXX_3.4.29: called where an allocator is asked for more objects than addresses exist. Nothing here asks.
[[noreturn]] MDEV_LOCAL void __throw_bad_array_new_length();
[[noreturn]] MDEV_LOCAL void __throw_bad_array_new_length() { std::abort(); }
}  // namespace std
