#include "storage/segment_reader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/mutant.h"
#include "base/status.h"
#include "record/record_reader.h"
#include "storage/batch_cursor.h"
#include "storage/index_file.h"

namespace millrace::storage {
namespace {

// Read beyond what was asked for, so that the way from an index entry to the first batch fits too.
constexpr uint64_t kReadSlack = 8 << 10;
constexpr uint64_t kReadBytesMax = uint64_t{64} << 20;

// Where a walk begins, and what must be found there.
struct Anchor {
  uint64_t position = 0;
  // The last offset of the batch at the position; nullopt: the segment's first batch is there.
  std::optional<Offset> last_offset;
};

absl::Status Damage(const Segment& segment, uint64_t position, absl::string_view what) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("partition ", segment.log->name, ", segment ",
                                segment.base_offset.value(), ", position ", position, ": ", what,
                                "; the data is not served: restore it from another replica"),
                   {.name = segment.Path(kLogSuffix), .value = absl::StrCat(position)});
}

absl::Status CheckAnchor(const Segment& segment, const Anchor& anchor,
                         const record::BatchView& batch) {
  const bool fits = anchor.last_offset.has_value() ? batch.last_offset() == *anchor.last_offset
                                                   : batch.base_offset() == segment.base_offset;
  if (fits) return absl::OkStatus();
  return Damage(segment, anchor.position,
                absl::StrCat("offsets ", batch.base_offset().value(), " to ",
                             batch.last_offset().value(), " stand where others belong"));
}

absl::Status CheckEpoch(const Segment& segment, uint64_t position, const record::BatchView& batch,
                        const std::vector<EpochEntry>& epochs) {
  LeaderEpoch expected = kNoLeaderEpoch;
  for (const EpochEntry& entry : epochs) {
    if (entry.start_offset <= batch.base_offset()) expected = entry.epoch;
  }
  // A batch that begins before the log's start may belong to an epoch that was forgotten.
  if (expected == kNoLeaderEpoch || expected == batch.leader_epoch()) return absl::OkStatus();
  return Damage(segment, position,
                absl::StrCat("leader epoch ", batch.leader_epoch().value(), " instead of ",
                             expected.value()));
}

absl::StatusOr<Anchor> AnchorOf(FileSystem& files, const Segment& segment, Offset offset) {
  // The index is a hint: without it, or if it cannot be read, begin at the beginning.
  absl::StatusOr<std::unique_ptr<File>> index =
      files.Open(segment.Path(kOffsetIndexSuffix), OpenMode::kRead);
  if (!index.ok()) return Anchor{};
  const absl::StatusOr<std::optional<OffsetIndexEntry>> entry =
      FindOffset(**index, offset - segment.base_offset);
  if (!entry.ok() || !entry->has_value()) return Anchor{};
  if ((*entry)->position < 0 || (*entry)->relative_offset < 0) return Anchor{};
  return Anchor{static_cast<uint64_t>((*entry)->position),
                segment.base_offset + (*entry)->relative_offset};
}

// Reads from an anchor.
class RangeRead {
 public:
  RangeRead(const Segment& segment, const File& log, const SegmentRange& range)
      : segment_(segment), log_(log), range_(range) {}

  absl::StatusOr<ReadResult> From(const Anchor& anchor) {
    result_ = ReadResult();
    result_.next_offset = range_.from;
    position_ = anchor.position;
    expected_.reset();
    uint64_t wanted = std::min<uint64_t>(range_.limits.bytes_max, kReadBytesMax) + kReadSlack;
    while (true) {
      Buffer buffer(wanted);
      ASSIGN_OR_RETURN(const size_t read,
                       log_.ReadAt(position_, absl::MakeSpan(buffer.data(), buffer.size())));
      const Bytes chunk = std::move(buffer).Freeze(read);
      uint64_t more = 0;
      ASSIGN_OR_RETURN(const bool done, Walk(anchor, chunk, &more));
      if (done) return std::move(result_);
      if (read < wanted) {
        return Damage(segment_, position_,
                      absl::StrCat("the file ends before offset ", range_.limits.up_to.value()));
      }
      wanted = std::max(more, kReadSlack);
    }
  }

 private:
  // Takes in the batches of `chunk`, which begins at position_; true when there is a result. Else
  // position_ is where to go on, with at least `more` bytes.
  absl::StatusOr<bool> Walk(const Anchor& anchor, const Bytes& chunk, uint64_t* more) {
    size_t at = 0;
    size_t first = 0;
    size_t collected = 0;
    const auto finish = [&] {
      if (collected > 0) result_.pieces.push_back(chunk.Sub(first, collected));
      result_.bytes = collected;
      return true;
    };
    // What is good before the damage is good: the next read, from there, is told of it.
    const auto damaged = [&](const absl::Status& damage) -> absl::StatusOr<bool> {
      if (collected > 0) return finish();
      return damage;
    };
    while (true) {
      const Slice rest = chunk.slice().substr(at);
      uint64_t size = record::kPeekBytes;
      if (rest.size() >= size) {
        const absl::StatusOr<size_t> peeked = record::PeekBatchSize(rest, kBatchBytesMax);
        if (!peeked.ok()) {
          return damaged(Damage(segment_, position_ + at, peeked.status().message()));
        }
        size = *peeked;
      }
      if (rest.size() < size) {
        if (collected > 0) return finish();
        position_ += at;
        *more = size;
        return false;
      }
      const absl::StatusOr<record::BatchView> batch =
          MUTANT("storage.damage-served") ? record::BatchView::ParseWithVerifiedCrc(rest)
                                          : record::BatchView::Parse(rest);
      if (!batch.ok()) {
        // The batch that the index names lies before what is asked for, and may be damaged: as long
        // as what stands behind it begins where it ends. Another replica may need just that.
        if (!expected_ && anchor.last_offset && *anchor.last_offset < range_.from) {
          expected_ = *anchor.last_offset + 1;
          at += size;
          continue;
        }
        return damaged(Damage(segment_, position_ + at, batch.status().message()));
      }
      if (const absl::Status place = CheckPlace(anchor, *batch, position_ + at); !place.ok()) {
        return damaged(place);
      }
      if (batch->next_offset() > range_.limits.up_to) return finish();
      if (batch->last_offset() >= range_.from) {
        const absl::Status epoch = CheckEpoch(segment_, position_ + at, *batch, range_.epochs);
        if (!epoch.ok()) return damaged(epoch);
        const bool too_much = collected + size > range_.limits.bytes_max;
        if (too_much && (collected > 0 || !range_.limits.at_least_one)) return finish();
        if (collected == 0) first = at;
        collected += size;
        result_.next_offset = batch->next_offset();
        if (too_much || result_.next_offset == range_.limits.up_to) return finish();
      }
      at += size;
    }
  }

  absl::Status CheckPlace(const Anchor& anchor, const record::BatchView& batch, uint64_t position) {
    if (!expected_.has_value()) {
      RETURN_IF_ERROR(CheckAnchor(segment_, anchor, batch));
    } else if (batch.base_offset() != *expected_) {
      return Damage(
          segment_, position,
          absl::StrCat("offset ", batch.base_offset().value(), " instead of ", expected_->value()));
    }
    expected_ = batch.next_offset();
    return absl::OkStatus();
  }

  const Segment& segment_;
  const File& log_;
  const SegmentRange& range_;
  ReadResult result_;
  uint64_t position_ = 0;
  std::optional<Offset> expected_;
};

// The first record of `batch` in [from, up_to) with at least this timestamp.
absl::StatusOr<std::optional<TimestampAndOffset>> FirstInBatch(const record::BatchView& batch,
                                                               int64_t timestamp_ms, Offset from,
                                                               Offset up_to) {
  ASSIGN_OR_RETURN(record::RecordReader reader, record::RecordReader::Open(batch));
  record::RecordView record;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, reader.Next(&record));
    if (!more) return std::nullopt;
    if (record.timestamp_ms >= timestamp_ms && record.offset >= from && record.offset < up_to) {
      return TimestampAndOffset{record.timestamp_ms, record.offset, batch.leader_epoch()};
    }
  }
}

// The batch that a time index entry names, if it ends and is timed as the entry says; else the
// segment's beginning.
absl::StatusOr<Anchor> ProvenAnchor(FileSystem& files, const Segment& segment, const File& log,
                                    const TimeIndexEntry& entry) {
  if (entry.relative_offset < 0) return Anchor{};
  const Offset last = segment.base_offset + entry.relative_offset;
  ASSIGN_OR_RETURN(const Anchor anchor, AnchorOf(files, segment, last));
  ASSIGN_OR_RETURN(const uint64_t size, log.Size());
  BatchCursor cursor(log, anchor.position, size, std::nullopt, 16 << 10);
  bool first = true;
  while (true) {
    ASSIGN_OR_RETURN(const BatchCursor::Step step, cursor.Next());
    if (step != BatchCursor::Step::kBatch) return Anchor{};
    if (first && !CheckAnchor(segment, anchor, cursor.batch()).ok()) return Anchor{};
    first = false;
    if (cursor.batch().last_offset() < last) continue;
    const bool fits = cursor.batch().last_offset() == last &&
                      cursor.batch().max_timestamp_ms() == entry.timestamp_ms;
    return fits ? Anchor{cursor.position(), last} : Anchor{};
  }
}

// Where to begin looking for a time: at the batch that the time index names, if the entry proves
// true; else at the beginning.
absl::StatusOr<Anchor> AnchorOfTime(FileSystem& files, const Segment& segment, const File& log,
                                    int64_t timestamp_ms) {
  absl::StatusOr<std::unique_ptr<File>> times =
      files.Open(segment.Path(kTimeIndexSuffix), OpenMode::kRead);
  if (!times.ok()) return Anchor{};
  const absl::StatusOr<std::optional<TimeIndexEntry>> entry = FindTimeBefore(**times, timestamp_ms);
  if (!entry.ok() || !entry->has_value()) return Anchor{};
  return ProvenAnchor(files, segment, log, **entry);
}

// Calls visit(batch) for all batches from the anchor that begin below up_to, until it says stop.
template <class Visit>
absl::Status VisitBatches(const Segment& segment, const File& log, const Anchor& anchor,
                          Offset up_to, Visit visit) {
  ASSIGN_OR_RETURN(const uint64_t size, log.Size());
  BatchCursor cursor(log, anchor.position, size, std::nullopt);
  Offset next = segment.base_offset;
  bool first = true;
  while (first || next < up_to) {
    ASSIGN_OR_RETURN(const BatchCursor::Step step, cursor.Next());
    if (step == BatchCursor::Step::kDamaged) {
      return Damage(segment, cursor.position(), cursor.damage().message());
    }
    if (step == BatchCursor::Step::kEnd) return absl::OkStatus();
    if (first) {
      RETURN_IF_ERROR(CheckAnchor(segment, anchor, cursor.batch()));
    } else if (cursor.batch().base_offset() != next) {
      return Damage(segment, cursor.position(), "offsets do not abut");
    }
    first = false;
    next = cursor.batch().next_offset();
    ASSIGN_OR_RETURN(const bool stop, visit(cursor.batch()));
    if (stop) return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ReadResult> ReadSegment(FileSystem& files, const Segment& segment,
                                       const SegmentRange& range) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> log,
                   files.Open(segment.Path(kLogSuffix), OpenMode::kRead));
  ASSIGN_OR_RETURN(const Anchor anchor, AnchorOf(files, segment, range.from));
  RangeRead read(segment, *log, range);
  absl::StatusOr<ReadResult> result = read.From(anchor);
  // The index may be what is wrong.
  if (CodeOf(result.status()) == ErrorCode::kCorruptLog && anchor.last_offset.has_value()) {
    return read.From(Anchor{});
  }
  return result;
}

absl::StatusOr<std::optional<TimestampAndOffset>> FindTimestamp(FileSystem& files,
                                                                const Segment& segment,
                                                                int64_t timestamp_ms, Offset from,
                                                                Offset up_to) {
  if (segment.base_offset >= up_to) return std::nullopt;
  ASSIGN_OR_RETURN(const std::unique_ptr<File> log,
                   files.Open(segment.Path(kLogSuffix), OpenMode::kRead));
  ASSIGN_OR_RETURN(const Anchor anchor, AnchorOfTime(files, segment, *log, timestamp_ms));
  std::optional<TimestampAndOffset> found;
  RETURN_IF_ERROR(VisitBatches(
      segment, *log, anchor, up_to, [&](const record::BatchView& batch) -> absl::StatusOr<bool> {
        if (batch.max_timestamp_ms() < timestamp_ms || batch.last_offset() < from) return false;
        ASSIGN_OR_RETURN(found, FirstInBatch(batch, timestamp_ms, from, up_to));
        return found.has_value();
      }));
  return found;
}

absl::StatusOr<std::optional<int64_t>> VerifiedMaxTimestamp(FileSystem& files,
                                                            const Segment& segment) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> times,
                   files.Open(segment.Path(kTimeIndexSuffix), OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::optional<TimeIndexEntry> entry, LastTimeEntry(*times));
  if (!entry.has_value()) return std::nullopt;
  ASSIGN_OR_RETURN(const std::unique_ptr<File> log,
                   files.Open(segment.Path(kLogSuffix), OpenMode::kRead));
  ASSIGN_OR_RETURN(const Anchor anchor, ProvenAnchor(files, segment, *log, *entry));
  if (!anchor.last_offset.has_value()) return std::nullopt;
  return entry->timestamp_ms;
}

absl::StatusOr<std::optional<TimestampAndOffset>> FindLatestTimestamp(FileSystem& files,
                                                                      const Segment& segment,
                                                                      Offset from, Offset up_to) {
  if (segment.base_offset >= up_to) return std::nullopt;
  ASSIGN_OR_RETURN(const std::unique_ptr<File> log,
                   files.Open(segment.Path(kLogSuffix), OpenMode::kRead));
  std::optional<TimestampAndOffset> found;
  RETURN_IF_ERROR(VisitBatches(
      segment, *log, Anchor{}, up_to, [&](const record::BatchView& batch) -> absl::StatusOr<bool> {
        if (found.has_value() && batch.max_timestamp_ms() <= found->timestamp_ms) return false;
        if (batch.last_offset() < from || batch.max_timestamp_ms() < 0) return false;
        // The batch's latest may lie outside the range: then what is inside counts.
        int64_t at_least = found.has_value() ? found->timestamp_ms + 1 : 0;
        while (true) {
          ASSIGN_OR_RETURN(const std::optional<TimestampAndOffset> better,
                           FirstInBatch(batch, at_least, from, up_to));
          if (!better.has_value()) return false;
          found = better;
          at_least = better->timestamp_ms + 1;
        }
      }));
  return found;
}

}  // namespace millrace::storage
