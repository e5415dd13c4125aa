// FetchedRecords: fetched batches of one partition as records, one after another: what a consumer
// does on its caller's thread.
//
// Records below the position, which the first batch may have, and control batches are passed over.
// Batches are verified and decompressed one at a time, as they are reached.
//
// Thread: one at a time.
#ifndef CLIENT_FETCHED_RECORDS_H_
#define CLIENT_FETCHED_RECORDS_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "client/record.h"
#include "record/record_reader.h"

namespace millrace::client {

class FetchedRecords {
 public:
  // `batches`: whole batches, one after the other.
  FetchedRecords(Bytes batches, bool check_crcs)
      : batches_(std::move(batches)), rest_(batches_.slice()), check_crcs_(check_crcs) {}

  // Points `*view` at the next record at or after `*position`, and moves `*position` behind it; the
  // view holds until the next call. False at the end; the position is then behind all batches.
  // Errors: CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION_TYPE and the like of a batch; the position
  // stays before it.
  absl::StatusOr<bool> Next(Offset* position, record::RecordView* view);
  // Of the batch that the position is in or directly behind, so that of the latest record;
  // kNoLeaderEpoch before the first call of Next.
  LeaderEpoch leader_epoch() const { return leader_epoch_; }

  // Copies what a view shows.
  static void Copy(const record::RecordView& view, Record* record);

 private:
  // Begins the next batch; false if there is none.
  absl::StatusOr<bool> OpenBatch();

  // What the views below point into.
  Bytes batches_;
  Slice rest_;
  bool check_crcs_;
  std::optional<record::BatchView> batch_;
  LeaderEpoch leader_epoch_ = kNoLeaderEpoch;
  // None for a batch that is passed over.
  std::optional<record::RecordReader> reader_;
};

}  // namespace millrace::client

#endif  // CLIENT_FETCHED_RECORDS_H_
