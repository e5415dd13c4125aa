#include "broker/range_read.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::broker {
namespace {

// No answer is larger than this, and a batch.
constexpr size_t kRangeBytesMax = 4 << 20;

Bytes Joined(storage::ReadResult read) {
  if (read.pieces.size() == 1) return std::move(read.pieces.front());
  Buffer buffer(read.bytes);
  char* at = buffer.data();
  for (const Bytes& piece : read.pieces) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  return std::move(buffer).Freeze();
}

absl::StatusOr<LogRead> Begin(Shard& shard, const RangeQuery& query) {
  ASSIGN_OR_RETURN(Replica* const replica, shard.Find(query.topic_partition));
  RETURN_IF_ERROR(replica->status());
  ReplicaLog& log = replica->log();
  storage::ReadLimits limits;
  limits.up_to = std::min({query.to, replica->high_watermark(), log.written_offset()});
  limits.bytes_max = std::min(query.bytes_max, kRangeBytesMax);
  limits.from_files = true;
  if (query.from >= limits.up_to) {
    return MakeError(ErrorCode::kOffsetNotAvailable,
                     absl::StrCat("offset ", query.from.value(), " is not committed here, where ",
                                  "the high watermark is ", replica->high_watermark().value()),
                     {.name = "from_offset", .value = absl::StrCat(query.from.value())});
  }
  return log.Read(query.from, limits);
}

}  // namespace

void ReadRange(const std::shared_ptr<Shard>& shard, const RangeQuery& query, RangeDone done) {
  absl::StatusOr<LogRead> read = Begin(*shard, query);
  if (!read.ok()) return std::move(done)(read.status());
  Executor* const cold_reads = read->cold_reads;
  cold_reads->Post([weak = std::weak_ptr<Shard>(shard), executor = shard->executor(), query,
                    read = *std::move(read), done = std::move(done)]() mutable {
    absl::StatusOr<storage::ReadResult> result =
        read.result ? *std::move(read.result) : std::move(read.cold)();
    absl::StatusOr<Bytes> bytes =
        result.ok() ? Joined(*std::move(result)) : absl::StatusOr<Bytes>(result.status());
    executor->Post([weak, query, bytes = std::move(bytes), done = std::move(done)]() mutable {
      const std::shared_ptr<Shard> self = weak.lock();
      if (self == nullptr) return;
      // Damaged here too: then there is something to repair here.
      self->NoteReadFailure(query.topic_partition, query.from, bytes.status());
      std::move(done)(std::move(bytes));
    });
  });
}

}  // namespace millrace::broker
