// A Log whose files are damaged: a segment is copied, made whole, and put back (segment_repair.h).

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/log.h"
#include "storage/log_op.h"
#include "storage/segment.h"
#include "storage/segment_repair.h"
#include "storage/staging_port.h"

namespace millrace::storage {

SegmentSpan Log::SegmentOf(Offset at) const {
  const auto after = std::upper_bound(
      segments_.begin(), segments_.end(), at,
      [](Offset o, const std::shared_ptr<Segment>& segment) { return o < segment->base_offset; });
  if (after == segments_.begin()) return {log_start_, log_start_};
  return {(*std::prev(after))->base_offset, (*std::prev(after))->end_offset};
}

absl::StatusOr<std::shared_ptr<SegmentRepair>> Log::BeginRepair(Offset at, WallTime now) {
  RETURN_IF_ERROR(status_);
  // Also what was deleted of the first segment.
  if (segments_.empty() || at < segments_.front()->base_offset || at >= end_) {
    return MakeError(
        ErrorCode::kOffsetOutOfRange,
        absl::StrCat("offset ", at.value(), " of ", name_, " cannot be repaired: the log has ",
                     log_start_.value(), " to ", end_.value()),
        {.name = "offset", .value = absl::StrCat(at.value())});
  }
  // Only what is appended to no more can be replaced.
  if (segments_.back()->base_offset <= at) Roll(now);
  const auto segment =
      std::find_if(segments_.begin(), segments_.end(), [&](const std::shared_ptr<Segment>& s) {
        return s->base_offset <= at && at < s->end_offset;
      });
  if (segment == segments_.end() || (*segment)->end_offset > written_) {
    return MakeError(ErrorCode::kOffsetNotAvailable,
                     absl::StrCat("the segment of offset ", at.value(), " of ", name_,
                                  " is not written yet: ask again"),
                     {.name = name_});
  }
  SegmentRepair::Options options;
  options.log_start = log_start_;
  options.end_offset = (*segment)->end_offset;
  options.epochs = epochs_;
  options.index_interval_bytes = config_.index_interval_bytes;
  options.generation = generation_;
  return std::make_shared<SegmentRepair>(files_, *segment, std::move(options));
}

void Log::FinishRepair(std::shared_ptr<SegmentRepair> repair,
                       absl::AnyInvocable<void(absl::Status) &&> done) {
  if (!status_.ok()) return std::move(done)(status_);
  const auto segment =
      std::find_if(segments_.begin(), segments_.end(), [&](const std::shared_ptr<Segment>& s) {
        return s == repair->segment() && s->end_offset == repair->end_offset();
      });
  // S-22: what was found in a log that was cut since is void, and what is deleted needs no repair.
  if (segment == segments_.end() || repair->generation() != generation_) {
    return std::move(done)(
        MakeError(ErrorCode::kOffsetNotAvailable,
                  absl::StrCat("the repaired segment of ", name_, " was cut or deleted meanwhile"),
                  {.name = name_}));
  }
  (*segment)->size_bytes = static_cast<int64_t>(repair->size_bytes());
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kReplace;
  op.repair = std::move(repair);
  op.done = std::move(done);
  port_->Push(std::move(op));
}

}  // namespace millrace::storage
