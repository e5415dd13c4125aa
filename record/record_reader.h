// RecordReader: walks the records of one batch, decompressing it first where needed.
//
// For uncompressed batches it copies nothing; for compressed ones it holds the decompressed bytes.
// No allocation per record. The input may be anything that passed BatchView's checks: every
// malformed record is a Status, and the walk is bounded by the bytes that are there.
//
// Use:
//   ASSIGN_OR_RETURN(RecordReader reader, RecordReader::Open(batch));
//   RecordView record;
//   while (true) {
//     ASSIGN_OR_RETURN(const bool more, reader.Next(&record));
//     if (!more) break;
//     ...
//   }
//
// Thread: one at a time.
#ifndef RECORD_RECORD_READER_H_
#define RECORD_RECORD_READER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/coding.h"
#include "record/batch_view.h"
#include "record/compression.h"
#include "record/record.h"

namespace millrace::record {

class RecordReader {
 public:
  // The bytes of `batch` must outlive the reader. Errors: those of Decompressor::Decompress.
  static absl::StatusOr<RecordReader> Open(const BatchView& batch,
                                           const DecompressionLimits& limits = {});
  // Likewise with a decompressor that is used again for the next batch; it need not outlive the
  // reader.
  static absl::StatusOr<RecordReader> Open(const BatchView& batch, Decompressor& decompressor);

  // Fills `record` with the next one, in order of offset; false at the end, after exactly
  // record_count() records. Errors: CORRUPT_MESSAGE if a record is malformed, offsets do not rise
  // within the batch, or bytes are left over; the reader then stays at its end.
  absl::StatusOr<bool> Next(RecordView* record);

  // What the records' slices point into if the batch is compressed (else empty: they point into the
  // batch). Whoever hands records on keeps this, and the batch, instead of copying them.
  const Bytes& decompressed() const { return decompressed_; }

 private:
  RecordReader(const BatchView& batch, Bytes decompressed);

  absl::Status ReadRecord(RecordView* record);
  absl::Status ReadHeaders(Reader* body);
  absl::Status Malformed(absl::string_view what) const;

  BatchView batch_;
  Bytes decompressed_;
  Reader rest_;
  int32_t records_left_;
  // Offset deltas rise strictly from here.
  int32_t previous_offset_delta_ = -1;
  // The current record's; its memory is used again for the next one.
  std::vector<Header> headers_;
};

// Calls `visit` for each record, in order, until it returns an error, which is passed on.
// Errors: also those of RecordReader.
absl::Status ForEachRecord(const BatchView& batch, const DecompressionLimits& limits,
                           absl::FunctionRef<absl::Status(const RecordView&)> visit);

}  // namespace millrace::record

#endif  // RECORD_RECORD_READER_H_
