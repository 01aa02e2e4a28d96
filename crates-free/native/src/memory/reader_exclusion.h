// How an owner has a space to itself without waiting for the engines that are in it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "memory/epoch.h"
#include "memory/epoch_process.h"

namespace mdev {

/// While it lives, readers that come to a domain are turned away (EpochDomain::turnsAway), and come back when it ends;
/// those that are in leave when their chunk ends. Once it is complete, `synchronize` of that domain does not wait.
///
/// For what would wait for readers: who asks first, and does it when this is complete, never stalls the thread, however
/// long a client lets its memory take. Several of a domain may live at a time. Owner thread.
class ReaderExclusion {
 public:
  /// How long the first `complete` waits at most, microseconds: what a chunk of memory that is there takes, so that
  /// only memory that is slow costs a turn of the event loop.
  static constexpr uint32_t kPatience = 100;

  /// From now on readers are turned away.
  explicit ReaderExclusion(std::shared_ptr<EpochDomain> domain);
  ~ReaderExclusion();
  ReaderExclusion(const ReaderExclusion&) = delete;
  ReaderExclusion& operator=(const ReaderExclusion&) = delete;

  /// Nobody reads. Once true, it stays.
  bool complete();
  /// As `complete`; when that is false, `told` is called as soon as it is worth another look, and again after each that
  /// was in vain: from any thread, inside a lock, before the destructor returns. It may only signal.
  bool completeOrTell(std::function<void()> told);

 private:
  bool looked(const EpochProcess::Deadline& deadline);

  const std::shared_ptr<EpochDomain> domain_;
  /// Readers that came before it are waited for.
  const uint64_t ticket_;
  EpochWatcher watcher_;
  bool patient_ = true;
  bool complete_ = false;
};

}  // namespace mdev
