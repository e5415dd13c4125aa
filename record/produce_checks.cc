// From the cheapest check to the dearest, so that a batch which is refused costs as little as it
// can. The rules are those of Kafka's LogValidator; where Kafka would repair a batch
// (max_timestamp), this refuses it, since a broker here never rewrites what a producer has
// checksummed.
#include "record/produce_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "record/record_reader.h"

namespace millrace::record {
namespace {

absl::Status Invalid(absl::string_view name, int64_t value, absl::string_view what) {
  return MakeError(ErrorCode::kInvalidRecord,
                   absl::StrCat("the batch cannot be appended: ", name, " is ", value, ", ", what),
                   {.name = std::string(name), .value = absl::StrCat(value)});
}

absl::Status CheckSize(const BatchView& batch, const ProduceChecks& checks) {
  if (batch.size() <= checks.batch_bytes_max) return absl::OkStatus();
  return MakeError(
      ErrorCode::kMessageTooLarge,
      absl::StrCat("the batch has ", batch.size(), " bytes, and the topic allows ",
                   checks.batch_bytes_max, "; make smaller batches or raise max.message.bytes"),
      {.name = "max.message.bytes", .value = absl::StrCat(batch.size())});
}

// What only brokers and compaction may write, and holes that only compaction makes.
absl::Status CheckOrigin(const BatchView& batch) {
  const int32_t count = batch.record_count();
  if (count == 0) return Invalid("record_count", count, "but a batch must hold records");
  if (int64_t{batch.last_offset_delta()} + 1 != count) {
    return Invalid("record_count", count,
                   absl::StrCat("but last_offset_delta ", batch.last_offset_delta(),
                                " promises one record per offset"));
  }
  // A client that could end transactions could end those of others.
  if (batch.is_control()) {
    return Invalid("control", 1, "but only brokers write control batches");
  }
  if (batch.has_delete_horizon()) {
    return Invalid("delete_horizon", 1, "but only compaction sets it");
  }
  // Its records would all have a time that no broker has seen.
  if (batch.timestamp_type() == TimestampType::kLogAppendTime) {
    return MakeError(ErrorCode::kInvalidTimestamp,
                     "the batch's timestamp type is LogAppendTime, which only brokers set; send "
                     "CreateTime",
                     {.name = "timestamp_type", .value = "LogAppendTime"});
  }
  return absl::OkStatus();
}

// The log's producer state relies on these: a sequence without an id, or an id without a sequence,
// would pass its duplicate check unseen.
absl::Status CheckProducer(const BatchView& batch) {
  const int64_t id = batch.producer_id().value();
  if (id < kNoProducerId.value()) return Invalid("producer_id", id, "but must not be below -1");
  if (id == kNoProducerId.value()) {
    if (!batch.is_transactional()) return absl::OkStatus();
    return Invalid("producer_id", id, "but a transactional batch needs one");
  }
  if (batch.producer_epoch().value() < 0) {
    return Invalid("producer_epoch", batch.producer_epoch().value(),
                   "but must not be negative with a producer id");
  }
  if (batch.base_sequence() < 0) {
    return Invalid("base_sequence", batch.base_sequence(),
                   "but must not be negative with a producer id");
  }
  return absl::OkStatus();
}

// With as many records as offsets, rising strictly within the batch's range (the reader's check),
// the offset deltas are 0 to n-1.
absl::Status CheckRecords(const BatchView& batch, const ProduceChecks& checks) {
  int64_t max_timestamp_ms = std::numeric_limits<int64_t>::min();
  RETURN_IF_ERROR(ForEachRecord(batch, checks.limits, [&](const RecordView& record) {
    max_timestamp_ms = std::max(max_timestamp_ms, record.timestamp_ms);
    // A compacted topic keeps the last record of each key: without one, none would be the last.
    if (checks.keys_required && !record.key.has_value()) {
      return Invalid("record", record.offset - batch.base_offset(),
                     "which has no key, but a compacted topic needs one in every record");
    }
    return absl::OkStatus();
  }));
  if (max_timestamp_ms == batch.max_timestamp_ms()) return absl::OkStatus();
  // The time index would lead lookups astray for as long as the batch is kept.
  return MakeError(ErrorCode::kInvalidTimestamp,
                   absl::StrCat("the batch's max_timestamp is ", batch.max_timestamp_ms(),
                                ", but the largest of its records is ", max_timestamp_ms),
                   {.name = "max_timestamp", .value = absl::StrCat(batch.max_timestamp_ms())});
}

}  // namespace

absl::StatusOr<BatchView> ParseProducedBatch(Slice bytes, const ProduceChecks& checks) {
  // A batch that is too large is refused before its checksum costs anything.
  RETURN_IF_ERROR(PeekBatchSize(bytes, checks.batch_bytes_max).status());
  ASSIGN_OR_RETURN(const BatchView batch, BatchView::Parse(bytes));
  if (batch.size() != bytes.size()) {
    return Invalid("size", static_cast<int64_t>(bytes.size()),
                   absl::StrCat("but the batch ends after ", batch.size(),
                                " bytes; send one batch "
                                "per partition"));
  }
  RETURN_IF_ERROR(CheckProducedBatch(batch, checks));
  return batch;
}

absl::Status CheckProducedBatch(const BatchView& batch, const ProduceChecks& checks) {
  RETURN_IF_ERROR(CheckSize(batch, checks));
  RETURN_IF_ERROR(CheckOrigin(batch));
  RETURN_IF_ERROR(CheckProducer(batch));
  if (!checks.deep && !checks.keys_required) return absl::OkStatus();
  return CheckRecords(batch, checks);
}

}  // namespace millrace::record
