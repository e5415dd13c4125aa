// A record is taken as a run of bytes first, by its length, and then apart within that run:
// whatever its fields claim, they cannot reach into the next record.
#include "record/record_reader.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::record {
namespace {

// A header takes at least its two lengths.
constexpr size_t kHeaderBytesMin = 2;

// Reads a run of bytes preceded by its length, -1 for null; false if it is malformed.
bool ReadNullable(Reader* from, absl::optional<Slice>* bytes) {
  int32_t length;
  if (!from->ReadSignedVarint32(&length) || length < -1) return false;
  if (length == -1) {
    *bytes = absl::nullopt;
    return true;
  }
  return from->ReadBytes(static_cast<size_t>(length), &bytes->emplace());
}

// What the reader walks: the records where they lie, or decompressed. A batch that compaction
// emptied is a header without records, whatever its codec.
bool AreInPlace(const BatchView& batch) {
  return batch.compression() == Compression::kNone || batch.records().empty();
}

// Any 64 bits, as the builder's Difference: no overflow that is undefined.
int64_t Sum(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

}  // namespace

absl::StatusOr<RecordReader> RecordReader::Open(const BatchView& batch,
                                                const DecompressionLimits& limits) {
  Decompressor decompressor(limits);
  return Open(batch, decompressor);
}

absl::StatusOr<RecordReader> RecordReader::Open(const BatchView& batch,
                                                Decompressor& decompressor) {
  if (AreInPlace(batch)) return RecordReader(batch, Bytes());
  ASSIGN_OR_RETURN(Bytes decompressed,
                   decompressor.Decompress(batch.compression(), batch.records()));
  return RecordReader(batch, std::move(decompressed));
}

RecordReader::RecordReader(const BatchView& batch, Bytes decompressed)
    : batch_(batch),
      decompressed_(std::move(decompressed)),
      rest_(AreInPlace(batch) ? batch.records() : decompressed_.slice()),
      records_left_(batch.record_count()) {}

absl::StatusOr<bool> RecordReader::Next(RecordView* record) {
  // The count decides where the batch ends, and the bytes have to agree.
  absl::Status status;
  if (records_left_ > 0) {
    status = ReadRecord(record);
  } else if (rest_.empty()) {
    return false;
  } else {
    status = Malformed(absl::StrCat(rest_.remaining(), " bytes are left after the last record"));
  }
  if (!status.ok()) {
    // Nothing that follows can be trusted.
    rest_ = Reader(Slice());
    records_left_ = 0;
    return status;
  }
  --records_left_;
  return true;
}

absl::Status RecordReader::ReadRecord(RecordView* record) {
  const size_t begin = rest_.position();
  int32_t length;
  if (!rest_.ReadSignedVarint32(&length)) return Malformed("its length is cut off or no number");
  Slice bytes;
  if (length < static_cast<int32_t>(kRecordBytesMin - 1) ||
      !rest_.ReadBytes(static_cast<size_t>(length), &bytes)) {
    return Malformed(
        absl::StrCat("its length is ", length, ", and ", rest_.remaining(), " bytes are left"));
  }
  Reader body(bytes);
  int8_t attributes;  // none are defined; newer versions may set some
  int64_t timestamp_delta;
  int32_t offset_delta;
  if (!body.ReadBig(&attributes) || !body.ReadSignedVarint64(&timestamp_delta)) {
    return Malformed("its timestamp is cut off or no number");
  }
  if (!body.ReadSignedVarint32(&offset_delta)) {
    return Malformed("its offset is cut off or no number");
  }
  // Rising strictly, since compaction leaves holes; the produce checks want them without.
  if (offset_delta <= previous_offset_delta_ || offset_delta > batch_.last_offset_delta()) {
    return Malformed(absl::StrCat("its offset delta is ", offset_delta, ", but must be over ",
                                  previous_offset_delta_, " and at most ",
                                  batch_.last_offset_delta()));
  }
  if (!ReadNullable(&body, &record->key)) return Malformed("its key is cut off or has no length");
  if (!ReadNullable(&body, &record->value)) {
    return Malformed("its value is cut off or has no length");
  }
  RETURN_IF_ERROR(ReadHeaders(&body));
  if (!body.empty()) return Malformed(absl::StrCat(body.remaining(), " bytes are left within it"));

  // Only a whole record is handed out.
  previous_offset_delta_ = offset_delta;
  record->offset = batch_.base_offset() + offset_delta;
  record->timestamp_ms = batch_.timestamp_type() == TimestampType::kLogAppendTime
                             ? batch_.max_timestamp_ms()
                             : Sum(batch_.base_timestamp_ms(), timestamp_delta);
  record->headers = headers_;
  record->encoded_bytes = rest_.position() - begin;
  return absl::OkStatus();
}

absl::Status RecordReader::ReadHeaders(Reader* body) {
  headers_.clear();
  int32_t count;
  if (!body->ReadSignedVarint32(&count)) {
    return Malformed("its header count is cut off or no number");
  }
  // The bytes that are there bound what a false count can make us reserve.
  if (count < 0 || static_cast<size_t>(count) > body->remaining() / kHeaderBytesMin) {
    return Malformed(absl::StrCat("it has ", count, " headers in ", body->remaining(), " bytes"));
  }
  for (int32_t i = 0; i < count; ++i) {
    // Keys may repeat and may be empty, but not null (KIP-82).
    absl::optional<Slice> key;
    absl::optional<Slice> value;
    if (!ReadNullable(body, &key) || !key.has_value()) {
      return Malformed(absl::StrCat("the key of its header ", i, " is null or cut off"));
    }
    if (!ReadNullable(body, &value)) {
      return Malformed(absl::StrCat("the value of its header ", i, " is cut off"));
    }
    headers_.push_back(Header{*key, value});
  }
  return absl::OkStatus();
}

absl::Status RecordReader::Malformed(absl::string_view what) const {
  const int32_t index = batch_.record_count() - records_left_;
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("record ", index, " of the batch at offset ",
                                batch_.base_offset().value(), " is malformed: ", what),
                   {.name = "record", .value = absl::StrCat(index)});
}

absl::Status ForEachRecord(const BatchView& batch, const DecompressionLimits& limits,
                           absl::FunctionRef<absl::Status(const RecordView&)> visit) {
  ASSIGN_OR_RETURN(RecordReader reader, RecordReader::Open(batch, limits));
  RecordView record;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&record));
    if (!more) return absl::OkStatus();
    RETURN_IF_ERROR(visit(record));
  }
}

}  // namespace millrace::record
