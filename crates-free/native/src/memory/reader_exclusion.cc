#include "memory/reader_exclusion.h"

#include <chrono>
#include <utility>

namespace mdev {

ReaderExclusion::ReaderExclusion(std::shared_ptr<EpochDomain> domain)
    : domain_(std::move(domain)), ticket_(domain_->exclude()) {}

ReaderExclusion::~ReaderExclusion() {
  EpochProcess::instance().unlist(watcher_);
  if (complete_) --domain_->empty_;
  domain_->admit();
}

bool ReaderExclusion::looked(const EpochProcess::Deadline& deadline) {
  if (!EpochProcess::instance().waitFor(domain_.get(), ticket_, deadline)) return false;
  complete_ = true;
  ++domain_->empty_;
  EpochProcess::instance().unlist(watcher_);
  return true;
}

bool ReaderExclusion::complete() {
  if (complete_) return true;
  const auto patience = std::chrono::microseconds(std::exchange(patient_, false) ? kPatience : 0);
  return looked(std::chrono::steady_clock::now() + patience);
}

bool ReaderExclusion::completeOrTell(std::function<void()> told) {
  if (complete()) return true;
  if (watcher_.listed) return false;
  watcher_.told = std::move(told);
  EpochProcess::instance().list(watcher_);
  // A reader that is found now tells the watcher; one that has left meanwhile did not.
  return complete();
}

}  // namespace mdev
