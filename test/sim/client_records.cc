#include "test/sim/client_records.h"

#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "record/batch_builder.h"
#include "record/record_reader.h"

namespace millrace::sim {

SimBatch BuildSimBatch(History* history, SimRandom* random, const TopicPartition& partition,
                       History::Lane lane, int64_t timestamp_ms,
                       const api::ProducerIdentity& identity, int32_t sequence) {
  record::BatchBuilder::Options options;
  if (OneIn(*random, 3)) options.compression = record::kAllCompressions[random->Below(5)];
  if (identity.id != kNoProducerId) {
    options.producer_id = identity.id;
    options.producer_epoch = identity.epoch;
    options.base_sequence = sequence;
  }
  record::BatchBuilder builder(options);
  SimBatch batch;
  const int count = 1 + static_cast<int>(random->Below(6));
  for (int i = 0; i < count; ++i) {
    const size_t filling = OneIn(*random, 32) ? random->Below(60000) : random->Below(100);
    const int64_t number = history->OnSent(partition, lane, filling, timestamp_ms);
    const std::string value = history->ValueOf(number);
    const std::optional<std::string> key = history->KeyOf(number);
    builder.Add(timestamp_ms, key ? absl::optional<Slice>(*key) : absl::nullopt,
                absl::string_view(value));
    batch.numbers.push_back(number);
  }
  batch.bytes = builder.Build();
  return batch;
}

absl::StatusOr<std::vector<ReadRecord>> RecordsIn(Slice batches, Offset from) {
  std::vector<ReadRecord> records;
  while (!batches.empty()) {
    ASSIGN_OR_RETURN(const record::BatchView batch, record::BatchView::Parse(batches));
    RETURN_IF_ERROR(record::ForEachRecord(batch, {}, [&](const record::RecordView& record) {
      if (record.offset < from) return absl::OkStatus();
      ReadRecord& read = records.emplace_back();
      read.offset = record.offset;
      read.value = std::string(record.value.value_or(Slice()));
      if (record.key) read.key = std::string(*record.key);
      read.leader_epoch = batch.leader_epoch();
      return absl::OkStatus();
    }));
    batches.remove_prefix(batch.size());
  }
  return records;
}

absl::StatusOr<std::vector<ReadRecord>> RecordsOf(const api::FetchPartitionResult& result,
                                                  Offset from) {
  std::vector<ReadRecord> records;
  for (const Bytes& piece : result.batches) {
    ASSIGN_OR_RETURN(std::vector<ReadRecord> more, RecordsIn(piece, from));
    records.insert(records.end(), std::make_move_iterator(more.begin()),
                   std::make_move_iterator(more.end()));
  }
  return records;
}

bool IsSureRefusal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kInvalidRecord:
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kStorageFull:
    case ErrorCode::kStorageError:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kWrongTopicChecksum:
    case ErrorCode::kStreamOrderBroken:
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kFencedLeaderEpoch:
    case ErrorCode::kNotEnoughReplicas:
    // Passed on, and the leader is out of reach; nothing was sent.
    case ErrorCode::kBrokerNotAvailable:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kShuttingDown:
      return true;
    default:
      return false;
  }
}

absl::StatusOr<std::vector<ReadRecord>> CheckedRecordsOf(History* history,
                                                         const TopicPartition& partition,
                                                         const api::FetchPartitionResult& result,
                                                         Offset from) {
  ASSIGN_OR_RETURN(std::vector<ReadRecord> records, RecordsOf(result, from));
  Offset next = records.empty() ? from : records.front().offset;
  for (const ReadRecord& record : records) {
    if (record.offset >= result.high_watermark) {
      return absl::InternalError(absl::StrCat("VIOLATION: offset ", record.offset.value(),
                                              " was served beyond the high watermark ",
                                              result.high_watermark.value()));
    }
    if (record.offset != next) {
      return absl::InternalError(absl::StrCat("VIOLATION: a fetch leaves out offset ", next.value(),
                                              " before ", record.offset.value()));
    }
    next = record.offset + 1;
    RETURN_IF_ERROR(history->CheckRead(partition, record));
  }
  return records;
}

}  // namespace millrace::sim
