// Memory that is slow to come: who touches it stops there until the test lets it go on. To a reader in this process it
// is what a page is that a client keeps the kernel busy with.
#include <linux/futex.h>
#include <node_api.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>

namespace {

struct Range {
  uintptr_t first;
  uintptr_t end;
};
std::array<Range, 16> ranges;
std::atomic<uint32_t> rangeCount{0};
std::atomic<uint32_t> holding{0};
std::atomic<uint32_t> stopped{0};
struct sigaction previous;

void onFault(int number, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (uint32_t index = 0; index < rangeCount.load(); ++index) {
    if (address < ranges[index].first || address >= ranges[index].end) continue;
    stopped.fetch_add(1);
    while (holding.load() != 0) {
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&holding), FUTEX_WAIT_PRIVATE, 1, nullptr, nullptr, 0);
    }
    return;
  }
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(number, info, context);
  std::signal(number, SIG_DFL);
}

/// hold(inode): how many mappings of that file stop whoever touches them.
napi_value hold(napi_env env, napi_callback_info info) {
  napi_value argument = nullptr;
  std::size_t count = 1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  int64_t wanted = 0;
  napi_get_value_int64(env, argument, &wanted);
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = onFault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return sigaction(SIGSEGV, &action, &previous) == 0;
  }();
  uint32_t found = 0;
  std::array<char, 4096> line;
  FILE* const maps = std::fopen("/proc/self/maps", "re");
  while (installed && maps != nullptr && std::fgets(line.data(), line.size(), maps) != nullptr) {
    unsigned long first = 0;
    unsigned long end = 0;
    unsigned long inode = 0;
    if (std::sscanf(line.data(), "%lx-%lx %*s %*s %*s %lu", &first, &end, &inode) != 3) continue;
    if (inode != static_cast<unsigned long>(wanted) || found == ranges.size()) continue;
    ranges[found++] = {first, end};
  }
  if (maps != nullptr) std::fclose(maps);
  stopped.store(0);
  holding.store(1);
  rangeCount.store(found);
  for (uint32_t index = 0; index < found; ++index) {
    mprotect(reinterpret_cast<void*>(ranges[index].first), ranges[index].end - ranges[index].first, PROT_NONE);
  }
  napi_value result = nullptr;
  napi_create_uint32(env, found, &result);
  return result;
}

/// stopped(): how often somebody has touched it since
napi_value stoppedSoFar(napi_env env, napi_callback_info) {
  napi_value result = nullptr;
  napi_create_uint32(env, stopped.load(), &result);
  return result;
}

/// release(): all go on
napi_value release(napi_env, napi_callback_info) {
  for (uint32_t index = 0; index < rangeCount.load(); ++index) {
    mprotect(reinterpret_cast<void*>(ranges[index].first), ranges[index].end - ranges[index].first,
             PROT_READ | PROT_WRITE);
  }
  holding.store(0);
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&holding), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  const auto add = [&](const char* name, napi_callback callback) {
    napi_value function = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    napi_set_named_property(env, exports, name, function);
  };
  add("hold", hold);
  add("stopped", stoppedSoFar);
  add("release", release);
  return exports;
}
