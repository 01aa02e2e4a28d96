// What a thread does while it looks at a word again and again.
#pragma once

namespace mdev {

/// Leaves the core to its other thread for a moment.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace mdev
