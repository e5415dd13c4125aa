#include "storage/recovery_progress.h"

#include "absl/time/time.h"
#include "base/log.h"

namespace millrace::storage {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(10);

}  // namespace

RecoveryProgress::RecoveryProgress(Clock* clock, const std::string& directory, size_t replicas)
    : clock_(clock),
      directory_(directory),
      replicas_(replicas),
      began_(clock->Now()),
      next_(began_ + kInterval) {}

void RecoveryProgress::SegmentDone(uint64_t bytes) {
  bytes_done_ += bytes;
  SayIfDue();
}

void RecoveryProgress::ReplicaDone() {
  ++replicas_done_;
  SayIfDue();
}

void RecoveryProgress::SayIfDue() {
  const MonotonicTime now = clock_->Now();
  if (now < next_) return;
  next_ = now + kInterval;
  said_ = true;
  LOG_INFO("storage", "recovering log directory",
           {{"directory", directory_},
            {"replicas_done", replicas_done_},
            {"replicas", replicas_},
            {"bytes_done", bytes_done_},
            {"seconds", absl::ToInt64Seconds(now - began_)}});
}

void RecoveryProgress::Finish() {
  // A short recovery is no news.
  if (!said_) return;
  LOG_INFO("storage", "log directory recovered",
           {{"directory", directory_},
            {"replicas", replicas_done_},
            {"bytes", bytes_done_},
            {"seconds", absl::ToInt64Seconds(clock_->Now() - began_)}});
}

}  // namespace millrace::storage
