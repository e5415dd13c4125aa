#include "broker/service/plain_form.h"

#include <optional>
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
    // The batch stands for the records from here on, against the memory budget too.
    std::optional<Buffer> records = Buffer::Reclaim(&partition.plain_records);
    partition.plain_records = Bytes();
    std::optional<Buffer> batch = Buffer::Reclaim(&partition.batches);
    if (!batch) continue;
    if (records) batch->SetReservation(records->TakeReservation());
    partition.batches = (*std::move(batch)).Freeze();
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

std::optional<Offset> UnpackSome(const api::FetchPartitionResult& in, size_t bytes_max,
                                 api::FetchPartitionResult* out) {
  out->name = in.name;
  out->outcome = in.outcome;
  out->fetch_offset = in.fetch_offset;
  out->high_watermark = in.high_watermark;
  out->last_stable_offset = in.last_stable_offset;
  out->log_start_offset = in.log_start_offset;
  out->preferred_read_replica = in.preferred_read_replica;
  if (in.batches.empty()) return std::nullopt;
  absl::StatusOr<api::PlainRun> run = api::UnpackPlainRun(in.batches, in.fetch_offset, bytes_max);
  if (!run.ok()) {
    out->outcome = api::PartitionOutcome::Of(run.status());
    return std::nullopt;
  }
  out->plain_records = std::move(run->records);
  return run->next;
}

}  // namespace millrace::broker
