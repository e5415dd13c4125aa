#include "client/fetched_records.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "record/batch_view.h"

namespace millrace::client {

absl::StatusOr<bool> FetchedRecords::Next(Offset* position, record::RecordView* view) {
  while (true) {
    if (!batch_.has_value()) {
      ASSIGN_OR_RETURN(const bool more, OpenBatch());
      if (!more) return false;
    }
    while (reader_.has_value()) {
      ASSIGN_OR_RETURN(const bool more, reader_->Next(view));
      if (!more) break;
      if (view->offset < *position) continue;
      *position = view->offset + 1;
      return true;
    }
    // Compaction may have taken the last records of a batch, but not their offsets.
    *position = std::max(*position, batch_->next_offset());
    reader_.reset();
    batch_.reset();
  }
}

absl::StatusOr<bool> FetchedRecords::OpenBatch() {
  if (rest_.empty()) return false;
  ASSIGN_OR_RETURN(const record::BatchView batch,
                   check_crcs_ ? record::BatchView::Parse(rest_)
                               : record::BatchView::ParseWithVerifiedCrc(rest_));
  // What the brokers tell each other is not for applications.
  if (!batch.is_control()) {
    ASSIGN_OR_RETURN(record::RecordReader reader, record::RecordReader::Open(batch));
    reader_.emplace(std::move(reader));
  }
  batch_ = batch;
  leader_epoch_ = batch.leader_epoch();
  rest_.remove_prefix(batch.size());
  return true;
}

void FetchedRecords::Copy(const record::RecordView& view, Record* record) {
  record->timestamp_ms = view.timestamp_ms;
  record->key.reset();
  if (view.key.has_value()) record->key.emplace(*view.key);
  record->value.reset();
  if (view.value.has_value()) record->value.emplace(*view.value);
  record->headers.clear();
  for (const record::Header& header : view.headers) {
    RecordHeader& copy = record->headers.emplace_back();
    copy.key = std::string(header.key);
    if (header.value.has_value()) copy.value.emplace(*header.value);
  }
}

}  // namespace millrace::client
