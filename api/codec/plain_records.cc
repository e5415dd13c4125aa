#include "api/codec/plain_records.h"

#include <limits>
#include <utility>

#include "api/codec/wire_writer.h"
#include "base/status.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/record_reader.h"

namespace millrace::api {
namespace {

// Fields of millrace.v1.Record and millrace.v1.Header.
constexpr uint32_t kOffsetField = 1;
constexpr uint32_t kTimestampField = 2;
constexpr uint32_t kKeyField = 3;
constexpr uint32_t kValueField = 4;
constexpr uint32_t kHeadersField = 5;
constexpr uint32_t kHeaderKeyField = 1;
constexpr uint32_t kHeaderValueField = 2;

// Sinks append to a string here, since a record's fields are small and its run is one piece.
void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void AppendTag(uint32_t field, WireType type, std::string* out) {
  AppendVarint(uint64_t{field} << 3 | static_cast<uint64_t>(type), out);
}

void AppendBytes(uint32_t field, Slice bytes, std::string* out) {
  AppendTag(field, WireType::kLength, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes.data(), bytes.size());
}

size_t BytesFieldSize(Slice bytes) { return 1 + VarintSize(bytes.size()) + bytes.size(); }

// Size of a header's encoding. An empty key is proto3's default and left out.
size_t HeaderSize(Slice key, const absl::optional<Slice>& value) {
  return (key.empty() ? 0 : BytesFieldSize(key)) + (value ? BytesFieldSize(*value) : 0);
}

void AppendHeader(const record::Header& header, std::string* run) {
  std::string valid;
  Slice key = header.key;
  if (!IsUtf8(key)) {
    valid = ToUtf8(key);
    key = valid;
  }
  AppendTag(kHeadersField, WireType::kLength, run);
  AppendVarint(HeaderSize(key, header.value), run);
  if (!key.empty()) AppendBytes(kHeaderKeyField, key, run);
  if (header.value) AppendBytes(kHeaderValueField, *header.value, run);
}

size_t HeaderFieldSize(const record::Header& header) {
  const size_t size = IsUtf8(header.key) ? HeaderSize(header.key, header.value)
                                         : HeaderSize(ToUtf8(header.key), header.value);
  return 1 + VarintSize(size) + size;
}

absl::Status Malformed() {
  return MakeError(ErrorCode::kInvalidRequest,
                   "the plain records cannot be parsed: send millrace.v1.Record messages",
                   {.name = "records"});
}

// Appends the records of one batch, the last of which is `last`. False once `run` has passed
// `bytes_max`.
absl::StatusOr<bool> UnpackBatch(const record::BatchView& batch, Offset from, size_t bytes_max,
                                 std::string* run, Offset* last) {
  if (batch.is_control() || batch.last_offset() < from) return true;
  ASSIGN_OR_RETURN(record::RecordReader reader, record::RecordReader::Open(batch));
  record::RecordView record;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&record));
    if (!more) return true;
    if (record.offset < from) continue;
    AppendPlainRecord(kFetchRecordsField, record, run);
    *last = record.offset;
    if (run->size() >= bytes_max) return false;
  }
}

}  // namespace

bool PlainRecordReader::Next(record::RecordView* record) {
  if (!run_.Next()) return false;
  const Slice encoded = run_.Length();
  if (run_.ok() && !ReadRecord(encoded, record)) run_.Fail();
  return run_.ok();
}

bool PlainRecordReader::ReadRecord(Slice encoded, record::RecordView* record) {
  *record = {};
  headers_.clear();
  WireReader reader(encoded);
  while (reader.Next()) {
    if (reader.Is(kOffsetField, WireType::kVarint)) {
      record->offset = Offset(reader.Int64());
    } else if (reader.Is(kTimestampField, WireType::kVarint)) {
      record->timestamp_ms = reader.Int64();
    } else if (reader.Is(kKeyField, WireType::kLength)) {
      record->key = reader.Length();
    } else if (reader.Is(kValueField, WireType::kLength)) {
      record->value = reader.Length();
    } else if (reader.Is(kHeadersField, WireType::kLength)) {
      if (!ReadHeader(reader.Length())) return false;
    } else {
      reader.Skip();
    }
  }
  record->headers = headers_;
  record->encoded_bytes = encoded.size();
  return reader.ok();
}

bool PlainRecordReader::ReadHeader(Slice encoded) {
  record::Header header;
  WireReader reader(encoded);
  while (reader.Next()) {
    if (reader.Is(kHeaderKeyField, WireType::kLength)) {
      header.key = reader.Text();
    } else if (reader.Is(kHeaderValueField, WireType::kLength)) {
      header.value = reader.Length();
    } else {
      reader.Skip();
    }
  }
  headers_.push_back(header);
  return reader.ok();
}

void AppendPlainRecord(uint32_t field, const record::RecordView& record, std::string* run) {
  size_t size = 0;
  if (record.offset != Offset(0)) {
    size += 1 + VarintSize(static_cast<uint64_t>(record.offset.value()));
  }
  if (record.timestamp_ms != 0) size += 1 + VarintSize(static_cast<uint64_t>(record.timestamp_ms));
  if (record.key) size += BytesFieldSize(*record.key);
  if (record.value) size += BytesFieldSize(*record.value);
  for (const record::Header& header : record.headers) size += HeaderFieldSize(header);

  AppendTag(field, WireType::kLength, run);
  AppendVarint(size, run);
  if (record.offset != Offset(0)) {
    AppendTag(kOffsetField, WireType::kVarint, run);
    AppendVarint(static_cast<uint64_t>(record.offset.value()), run);
  }
  if (record.timestamp_ms != 0) {
    AppendTag(kTimestampField, WireType::kVarint, run);
    AppendVarint(static_cast<uint64_t>(record.timestamp_ms), run);
  }
  if (record.key) AppendBytes(kKeyField, *record.key, run);
  if (record.value) AppendBytes(kValueField, *record.value, run);
  for (const record::Header& header : record.headers) AppendHeader(header, run);
}

absl::StatusOr<Bytes> PackPlainRecords(Slice run, int64_t now_ms) {
  record::BatchBuilder builder({});
  PlainRecordReader reader(run);
  record::RecordView record;
  while (reader.Next(&record)) {
    const size_t most = builder.estimated_bytes() + record::BatchBuilder::RecordBytesMax(
                                                        record.key, record.value, record.headers);
    if (most > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      return MakeError(ErrorCode::kMessageTooLarge,
                       "the plain records make a batch of more than 2^31 bytes; send fewer at once",
                       {.name = "records"});
    }
    builder.Add(record.timestamp_ms == 0 ? now_ms : record.timestamp_ms, record.key, record.value,
                record.headers);
  }
  if (!reader.ok()) return Malformed();
  if (builder.empty()) {
    return MakeError(ErrorCode::kInvalidRecord, "there are no records; send at least one",
                     {.name = "records"});
  }
  return builder.Build();
}

absl::StatusOr<PlainRun> UnpackPlainRun(const BatchPieces& batches, Offset from, size_t bytes_max) {
  std::string run;
  Offset last = kNoOffset;
  std::optional<Offset> next;
  for (size_t i = 0; i < batches.size() && !next; ++i) {
    Slice rest = batches[i];
    while (!rest.empty()) {
      // What storage returns it has checked, or appended after a check.
      ASSIGN_OR_RETURN(const record::BatchView batch,
                       record::BatchView::ParseWithVerifiedCrc(rest));
      ASSIGN_OR_RETURN(const bool go_on, UnpackBatch(batch, from, bytes_max, &run, &last));
      rest.remove_prefix(batch.size());
      if (go_on) continue;
      const bool all = rest.empty() && i + 1 == batches.size() && last >= batch.last_offset();
      if (!all) next = last + 1;
      break;
    }
  }
  return PlainRun{Bytes::FromString(std::move(run)), next};
}

absl::StatusOr<Bytes> UnpackPlainRecords(const BatchPieces& batches, Offset from,
                                         size_t bytes_max) {
  ASSIGN_OR_RETURN(PlainRun run, UnpackPlainRun(batches, from, bytes_max));
  return std::move(run.records);
}

}  // namespace millrace::api
