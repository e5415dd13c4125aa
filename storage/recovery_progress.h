// RecoveryProgress: tells an operator how far the recovery of a log directory is, if it takes long:
// a line every ten seconds, and one at the end if there was any.
//
// Thread: the disk executor.
#ifndef STORAGE_RECOVERY_PROGRESS_H_
#define STORAGE_RECOVERY_PROGRESS_H_

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/monotonic_time.h"

namespace millrace::storage {

class RecoveryProgress {
 public:
  // Begins now, with `replicas` to recover in `directory`. The clock must outlive it.
  RecoveryProgress(Clock* clock, const std::string& directory, size_t replicas);

  // A segment was looked at, whose file has so many bytes.
  void SegmentDone(uint64_t bytes);
  void ReplicaDone();
  // All replicas are done.
  void Finish();

 private:
  void SayIfDue();

  Clock* const clock_;
  const std::string directory_;
  const size_t replicas_;
  const MonotonicTime began_;
  MonotonicTime next_;
  size_t replicas_done_ = 0;
  uint64_t bytes_done_ = 0;
  bool said_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_RECOVERY_PROGRESS_H_
