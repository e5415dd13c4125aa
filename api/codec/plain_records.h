// Plain records: millrace.v1.Record messages on the wire, to and from record batches, for callers
// that do not want to know of batches. The batch is the form of all that lies behind the service.
//
// A run is encoded `records` fields one after the other, tags included, as they stand in their
// message. Reading one allocates nothing per record; keys and values stay where they lie.
//
// Thread: one at a time (readers hold a cursor).
#ifndef API_CODEC_PLAIN_RECORDS_H_
#define API_CODEC_PLAIN_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/codec/wire_reader.h"
#include "api/fetch.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "record/record.h"

namespace millrace::api {

// The field `records` in the two messages that have it.
inline constexpr uint32_t kProduceRecordsField = 5;
inline constexpr uint32_t kFetchRecordsField = 10;

class PlainRecordReader {
 public:
  // `run` outlives the reader and the records.
  explicit PlainRecordReader(Slice run) : run_(run) {}

  // Fills `record`; its headers are valid until the next call. False at the end and after an error.
  bool Next(record::RecordView* record);
  bool ok() const { return run_.ok(); }

 private:
  bool ReadRecord(Slice encoded, record::RecordView* record);
  bool ReadHeader(Slice encoded);

  WireReader run_;
  std::vector<record::Header> headers_;
};

// Appends `record` to a run. Header keys that are not UTF-8, which batches allow and proto3 does
// not, have the offending bytes replaced by U+FFFD.
void AppendPlainRecord(uint32_t field, const record::RecordView& record, std::string* run);

// One batch with the records of `run`; a record without a timestamp gets `now_ms`. Errors:
// INVALID_REQUEST for a malformed run; INVALID_RECORD for an empty one; MESSAGE_TOO_LARGE if the
// batch would pass 2^31 bytes.
absl::StatusOr<Bytes> PackPlainRecords(Slice run, int64_t now_ms);

// The records of `batches` from offset `from` on, as a run; control batches are left out. Stops
// after the record with which the run passes `bytes_max`. Errors: CORRUPT_MESSAGE and what
// decompression says, for batches that cannot be read.
absl::StatusOr<Bytes> UnpackPlainRecords(const BatchPieces& batches, Offset from, size_t bytes_max);

struct PlainRun {
  Bytes records;
  // Where to go on, if the batches have more than was unpacked.
  std::optional<Offset> next;
};
// The same, for those who want the rest later.
absl::StatusOr<PlainRun> UnpackPlainRun(const BatchPieces& batches, Offset from, size_t bytes_max);

}  // namespace millrace::api

#endif  // API_CODEC_PLAIN_RECORDS_H_
