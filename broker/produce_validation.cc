#include "broker/produce_validation.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/topic_checksum.h"
#include "base/status.h"
#include "record/format.h"
#include "record/produce_checks.h"

namespace millrace::broker {
namespace {

absl::Status TimestampError(int64_t timestamp_ms, WallTime now, absl::string_view key,
                            int64_t bound_ms) {
  return MakeError(ErrorCode::kInvalidTimestamp,
                   absl::StrCat("timestamp ", timestamp_ms, " is more than ", bound_ms,
                                " ms away from the broker's time, ", now.ms,
                                "; set the producer's clock, or ", key, " of the topic"),
                   {.name = std::string(key), .value = absl::StrCat(timestamp_ms)});
}

// The header knows the first timestamp and the largest; those between are within, but for records
// that go back in time, which cost nobody anything.
absl::Status CheckTimestamps(const record::BatchView& batch, const TopicSettings& settings,
                             WallTime now) {
  if (settings.log_append_time) return absl::OkStatus();
  const int64_t first = batch.base_timestamp_ms();
  const int64_t last = batch.max_timestamp_ms();
  if (last != record::kNoTimestamp && last > now.ms &&
      last - now.ms > settings.timestamp_after_ms_max) {
    return TimestampError(last, now, "message.timestamp.after.max.ms",
                          settings.timestamp_after_ms_max);
  }
  if (first != record::kNoTimestamp && first < now.ms &&
      // Subtracted this way round, a timestamp near the smallest number does not overflow.
      first < now.ms - std::min(now.ms, settings.timestamp_before_ms_max)) {
    return TimestampError(first, now, "message.timestamp.before.max.ms",
                          settings.timestamp_before_ms_max);
  }
  return absl::OkStatus();
}

absl::Status TooLarge(size_t size, size_t limit) {
  return MakeError(
      ErrorCode::kMessageTooLarge,
      absl::StrCat("the batch has ", size, " bytes, and max.message.bytes of the topic ", "is ",
                   limit, "; send smaller batches, or raise it"),
      {.name = "max.message.bytes", .value = absl::StrCat(size)});
}

absl::Status CheckTopic(Slice batches, const TopicPartition& partition, uint32_t claimed) {
  ASSIGN_OR_RETURN(const uint32_t sum, api::TopicChecksum(partition, batches));
  if (sum == claimed) return absl::OkStatus();
  return MakeError(ErrorCode::kWrongTopicChecksum,
                   absl::StrCat("the batch was made for another partition: its topic checksum is ",
                                claimed, ", that of this partition would be ", sum,
                                "; do not reuse a buffer that is being sent"),
                   {.name = "topic_checksum", .value = absl::StrCat(claimed)});
}

}  // namespace

absl::StatusOr<ProducedBatches> ValidateProduce(Slice batches, const TopicPartition& partition,
                                                std::optional<uint32_t> topic_checksum,
                                                const TopicSettings& settings, WallTime now) {
  if (batches.empty()) {
    return MakeError(ErrorCode::kInvalidRecord,
                     "there is nothing to append; send a batch or records", {.name = "batches"});
  }
  const record::ProduceChecks checks{.batch_bytes_max = settings.message_bytes_max};
  ProducedBatches views;
  bool idempotent = false;
  for (Slice rest = batches; !rest.empty();) {
    // The size first: what is too large is not worth a CRC.
    ASSIGN_OR_RETURN(const size_t size,
                     record::PeekBatchSize(rest, std::numeric_limits<size_t>::max()));
    if (size > settings.message_bytes_max) return TooLarge(size, settings.message_bytes_max);
    ASSIGN_OR_RETURN(const record::BatchView batch,
                     record::ParseProducedBatch(rest.substr(0, size), checks));
    RETURN_IF_ERROR(CheckTimestamps(batch, settings, now));
    idempotent |= batch.has_producer_id();
    views.push_back(batch);
    rest.remove_prefix(batch.size());
  }
  if (idempotent && views.size() > 1) {
    return MakeError(ErrorCode::kInvalidRecord,
                     "an idempotent producer sends one batch per partition and request",
                     {.name = "batches", .value = absl::StrCat(views.size())});
  }
  if (topic_checksum) RETURN_IF_ERROR(CheckTopic(batches, partition, *topic_checksum));
  return views;
}

}  // namespace millrace::broker
