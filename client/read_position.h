// ReadPosition: where a consumer goes on in a partition, and in which leader epoch the records
// before that were written. By it the consumer finds out, when another leader has been elected,
// whether what it has read is still part of the log.
//
// After an unclean election it may not be: the new leader's log ends before the position, or has
// other records there. Records that were read and are not in the log any more are no longer anybody
// else's truth, so that is an error with the offset where the logs part (LogTruncated), or reading
// goes on there. Kafka's client compares ends only, and overlooks a log that has grown past the
// position without the epoch that was read; here that counts as well.
//
// Thread: any (values and pure functions). Source: KIP-320; its LogTruncationException is an
// OFFSET_OUT_OF_RANGE as LogTruncated is.
#ifndef CLIENT_READ_POSITION_H_
#define CLIENT_READ_POSITION_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "client/position.h"

namespace millrace::client {

// What the headers of consecutive batches say.
struct BatchRun {
  // Where the log goes on behind them; kNoOffset if there are none.
  Offset next = kNoOffset;
  // Of the last one, and the first offset of the run from which on all are of that epoch.
  LeaderEpoch epoch = kNoLeaderEpoch;
  Offset epoch_from = kNoOffset;
};

// Looks at headers alone. Errors: CORRUPT_MESSAGE if the batches cannot be framed.
absl::StatusOr<BatchRun> RunOf(Slice batches);

struct ReadPosition {
  Offset next;
  // Of the records before `next`, as far as it is known: kNoLeaderEpoch.
  LeaderEpoch epoch = kNoLeaderEpoch;
  // From here on all that was read is of `epoch`. kNoOffset: nothing was read, and what lies before
  // `next` is of `epoch` or an earlier one.
  Offset epoch_from = kNoOffset;

  // Where a caller wants to begin. REQUIRES: an offset.
  static ReadPosition At(const Position& position);
  // Reading goes on behind `run`. REQUIRES: run.next > next.
  void Pass(const BatchRun& run);

  friend bool operator==(const ReadPosition&, const ReadPosition&) = default;
};

// The first offset at which what was read before `position` is not in the log of a leader that
// answers an OffsetForLeaderEpoch about position.epoch with `epoch` and `end`; nullopt: all of it
// is, as far as can be told. REQUIRES: position.epoch is known.
std::optional<Offset> DivergenceOf(const ReadPosition& position, LeaderEpoch epoch, Offset end);

// OFFSET_OUT_OF_RANGE, with the position and the offset where the logs part in its message.
absl::Status LogTruncated(const ReadPosition& position, Offset divergence,
                          LeaderEpoch leader_epoch);
// The offset where the logs part, if `status` is a LogTruncated: to be sought to, to read what is
// there instead.
std::optional<Offset> TruncatedAt(const absl::Status& status);

}  // namespace millrace::client

#endif  // CLIENT_READ_POSITION_H_
