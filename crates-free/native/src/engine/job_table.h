// The jobs of one run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mdev {

class Job;

/// Which jobs are free, and which have a descriptor. Under the lock of the run; nothing but `reserve` and `add`
/// allocates.
class JobTable {
 public:
  JobTable();
  ~JobTable();
  JobTable(const JobTable&) = delete;
  JobTable& operator=(const JobTable&) = delete;

  /// Has that many jobs from now on; those beyond, of a restored run, go when their descriptors have ended. At least as
  /// many as before. Throws std::bad_alloc.
  void reserve(std::size_t places);
  /// A job that has a descriptor: an older one than all that are there. Throws std::bad_alloc.
  void add(std::unique_ptr<Job> job);

  /// A job without descriptor, or null when all have one.
  Job* free() const { return free_.empty() ? nullptr : free_.back(); }
  /// What `free` said has been given a descriptor: a newer one than all others have.
  void begun(Job& job);
  /// Its descriptor has ended. A job beyond the places is gone afterwards, unless somebody may still look at it.
  void ended(Job& job, bool keep);

  /// Those with a descriptor, the oldest first.
  std::span<Job* const> busy() const { return busy_; }
  /// Number behind the newest that was aborted, or 0.
  uint64_t abortedBefore() const;
  /// Not all that are older than that were.
  bool abortedSelectively() const;
  /// None has a descriptor from before `sequence`.
  bool noneBefore(uint64_t sequence) const;

 private:
  std::vector<std::unique_ptr<Job>> jobs_;
  /// Both with room for all jobs.
  std::vector<Job*> free_;
  std::vector<Job*> busy_;
  std::size_t places_ = 0;
};

}  // namespace mdev
