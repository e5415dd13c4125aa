#include "client/read_position.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"
#include "record/batch_view.h"

namespace millrace::client {
namespace {

// The detail by which a truncation differs from other offsets out of range.
constexpr char kTruncatedAt[] = "log_truncated_at";

}  // namespace

absl::StatusOr<BatchRun> RunOf(Slice batches) {
  BatchRun run;
  while (!batches.empty()) {
    ASSIGN_OR_RETURN(const size_t size, record::PeekBatchSize(batches, SIZE_MAX));
    if (size > batches.size() || size < record::kBatchHeaderSize) {
      return MakeError(ErrorCode::kCorruptMessage, "a fetched batch is cut off");
    }
    const Offset base(LoadBig<int64_t>(batches.data() + record::kBaseOffsetAt));
    const LeaderEpoch epoch(LoadBig<int32_t>(batches.data() + record::kLeaderEpochAt));
    if (run.next == kNoOffset || epoch != run.epoch) {
      run.epoch = epoch;
      run.epoch_from = base;
    }
    run.next = base + LoadBig<int32_t>(batches.data() + record::kLastOffsetDeltaAt) + 1;
    batches.remove_prefix(size);
  }
  return run;
}

ReadPosition ReadPosition::At(const Position& position) {
  ReadPosition at{.next = position.offset, .epoch = position.leader_epoch};
  if (at.epoch != kNoLeaderEpoch && at.next > Offset(0)) at.epoch_from = at.next - 1;
  return at;
}

void ReadPosition::Pass(const BatchRun& run) {
  const bool goes_on = run.epoch == epoch && epoch_from != kNoOffset;
  // The first batch may begin before the position.
  if (!goes_on) epoch_from = std::max(run.epoch_from, next);
  epoch = run.epoch;
  next = run.next;
}

std::optional<Offset> DivergenceOf(const ReadPosition& position, LeaderEpoch epoch, Offset end) {
  if (epoch == kNoLeaderEpoch) {
    // The log begins at `end`, and all of it is of later epochs. What was read of it is not there;
    // what lies below was deleted, and cannot be compared.
    return end < position.next ? std::optional<Offset>(end) : std::nullopt;
  }
  // The leader has nothing of the epoch that was read, however long its log is.
  const bool unknown_there = epoch < position.epoch && position.epoch_from != kNoOffset;
  if (unknown_there) return std::min(end, position.epoch_from);
  return end < position.next ? std::optional<Offset>(end) : std::nullopt;
}

absl::Status LogTruncated(const ReadPosition& position, Offset divergence,
                          LeaderEpoch leader_epoch) {
  return MakeError(
      ErrorCode::kOffsetOutOfRange,
      absl::StrCat("the log was truncated by an unclean election: the position is ",
                   position.next.value(), ", and records from offset ", divergence.value(),
                   " on, which were read in leader epoch ", position.epoch.value(),
                   ", are not in the log of the leader of epoch ", leader_epoch.value(),
                   "; go on from offset ", divergence.value(),
                   ", without a leader epoch, to read what is there now"),
      {.name = kTruncatedAt, .value = absl::StrCat(divergence.value())});
}

std::optional<Offset> TruncatedAt(const absl::Status& status) {
  const ErrorDetail detail = DetailOf(status);
  int64_t at = 0;
  if (detail.name != kTruncatedAt || !absl::SimpleAtoi(detail.value, &at)) return std::nullopt;
  return Offset(at);
}

}  // namespace millrace::client
