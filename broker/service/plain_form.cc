#include "broker/service/plain_form.h"

#include <utility>

#include "api/codec/plain_records.h"
#include "base/status.h"

namespace millrace::broker {

absl::Status PackPlain(api::ProduceRequest* request, WallTime now) {
  for (api::ProducePartition& partition : request->partitions) {
    if (partition.plain_records.empty()) continue;
    if (!partition.batches.empty()) {
      return MakeError(ErrorCode::kInvalidRequest,
                       "a partition has both batches and records; send one of both",
                       {.name = "records"});
    }
    ASSIGN_OR_RETURN(partition.batches, api::PackPlainRecords(partition.plain_records, now.ms));
    partition.plain_records = Bytes();
  }
  return absl::OkStatus();
}

void Unpack(api::FetchPartitionResult* result, size_t bytes_max) {
  if (result->batches.empty()) return;
  absl::StatusOr<Bytes> run =
      api::UnpackPlainRecords(result->batches, result->fetch_offset, bytes_max);
  result->batches.clear();
  if (run.ok()) {
    result->plain_records = *std::move(run);
  } else {
    result->outcome = api::PartitionOutcome::Of(run.status());
  }
}

}  // namespace millrace::broker
