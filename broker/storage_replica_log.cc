#include "broker/storage_replica_log.h"

#include "base/status.h"

namespace millrace::broker {

absl::StatusOr<LogRead> StorageReplicaLog::Read(Offset from, const storage::ReadLimits& limits) {
  ASSIGN_OR_RETURN(storage::ReadPlan plan, log_->Read(from, limits));
  LogRead read;
  read.cold_reads = cold_reads_;
  if (plan.ready()) {
    read.result = plan.TakeResult();
  } else {
    read.cold = [plan = std::move(plan)]() mutable { return plan.Execute(); };
  }
  return read;
}

absl::StatusOr<TimeLookup> StorageReplicaLog::OffsetForTimestamp(int64_t timestamp_ms,
                                                                 Offset up_to) {
  ASSIGN_OR_RETURN(storage::TimestampPlan plan, log_->OffsetForTimestamp(timestamp_ms, up_to));
  return TimeLookup([plan = std::move(plan)]() mutable { return plan.Execute(); });
}

absl::StatusOr<TimeLookup> StorageReplicaLog::OffsetOfMaxTimestamp(Offset up_to) {
  ASSIGN_OR_RETURN(storage::TimestampPlan plan, log_->OffsetOfMaxTimestamp(up_to));
  return TimeLookup([plan = std::move(plan)]() mutable { return plan.Execute(); });
}

}  // namespace millrace::broker
