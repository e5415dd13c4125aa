#include "broker/replica_checksum.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "record/batch_view.h"

namespace millrace::broker {
namespace {

constexpr size_t kReadBytes = 1 << 20;

class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(const std::shared_ptr<Shard>& shard, const ChecksumQuery& query,
      absl::AnyInvocable<void(const ReplicaChecksum&) &&> done)
      : shard_(shard),
        executor_(shard->executor()),
        query_(query),
        bytes_max_(std::min(query.bytes_max, kChecksumBytesMax)),
        done_(std::move(done)) {}

  void Start() {
    sum_.from_offset = sum_.next_offset = query_.from;
    Continue();
  }

 private:
  void Finish(const absl::Status& status) {
    sum_.outcome = api::PartitionOutcome::Of(status);
    std::move(done_)(sum_);
  }

  // Reads on until all of the range is read.
  void Continue() {
    const std::shared_ptr<Shard> shard = shard_.lock();
    if (shard == nullptr) return;
    if (query_.given_up && query_.given_up()) {
      return Finish(MakeError(ErrorCode::kCancelled, "the client has gone"));
    }
    // Whatever happened to the replica since the last read.
    const absl::StatusOr<Replica*> replica = shard->Find(query_.topic_partition);
    if (!replica.ok()) return Finish(replica.status());
    if (const absl::Status status = Check(**replica); !status.ok()) return Finish(status);
    const Offset to = std::min(query_.to, sum_.end_offset);
    const auto done = static_cast<size_t>(sum_.bytes);
    if (sum_.next_offset >= to || done >= bytes_max_) return Finish(absl::OkStatus());
    storage::ReadLimits limits;
    limits.up_to = to;
    limits.bytes_max = std::min(kReadBytes, bytes_max_ - done);
    limits.from_files = true;
    absl::StatusOr<LogRead> read = (*replica)->log().Read(sum_.next_offset, limits);
    if (!read.ok()) return Finish(read.status());
    Executor* const cold_reads = read->cold_reads;
    cold_reads->Post([self = shared_from_this(), read = *std::move(read)]() mutable {
      absl::StatusOr<storage::ReadResult> result =
          read.result ? *std::move(read.result) : std::move(read.cold)();
      if (result.ok()) self->Add(*result);
      // The next batch goes beyond the range: it ends inside of one.
      const bool nothing = result.ok() && result->bytes == 0;
      Executor* const executor = self->executor_;
      executor->Post([self = std::move(self), nothing, status = result.status()] {
        if (nothing) return self->Finish(status);
        if (status.ok()) return self->Continue();
        if (const std::shared_ptr<Shard> shard = self->shard_.lock()) {
          shard->NoteReadFailure(self->query_.topic_partition, self->sum_.next_offset, status);
        }
        self->Finish(status);
      });
    });
  }

  absl::Status Check(const Replica& replica) {
    RETURN_IF_ERROR(replica.status());
    const ReplicaLog& log = replica.log();
    sum_.leader_epoch = replica.leader_epoch();
    sum_.is_leader = replica.is_leader();
    sum_.log_start_offset = log.log_start_offset();
    sum_.end_offset = std::min(replica.high_watermark(), log.written_offset());
    const LeaderEpoch asked = query_.leader_epoch.value_or(sum_.leader_epoch);
    if (asked != sum_.leader_epoch) {
      return MakeError(asked < sum_.leader_epoch ? ErrorCode::kFencedLeaderEpoch
                                                 : ErrorCode::kUnknownLeaderEpoch,
                       absl::StrCat("the replica is in leader epoch ", sum_.leader_epoch.value(),
                                    "; ask for its bounds again"),
                       {.name = "leader_epoch", .value = absl::StrCat(asked.value())});
    }
    if (bytes_max_ == 0 ||
        (sum_.next_offset >= sum_.log_start_offset && sum_.next_offset <= sum_.end_offset)) {
      return absl::OkStatus();
    }
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat("offset ", sum_.next_offset.value(), " cannot be compared: the ",
                                  "replica has ", sum_.log_start_offset.value(), " to ",
                                  sum_.end_offset.value()),
                     {.name = "from_offset", .value = absl::StrCat(sum_.next_offset.value())});
  }

  // On the cold-read pool, while nobody else looks at the sum.
  void Add(const storage::ReadResult& result) {
    if (sum_.bytes == 0 && !result.pieces.empty()) {
      // The first batch may begin before the offset that was asked for.
      const auto first = record::BatchView::ParseWithVerifiedCrc(result.pieces.front());
      if (first.ok()) sum_.from_offset = first->base_offset();
    }
    for (const Bytes& piece : result.pieces) sum_.crc32c = Crc32cExtend(sum_.crc32c, piece);
    sum_.bytes += static_cast<int64_t>(result.bytes);
    sum_.next_offset = result.next_offset;
  }

  const std::weak_ptr<Shard> shard_;
  Executor* const executor_;
  const ChecksumQuery query_;
  const size_t bytes_max_;
  absl::AnyInvocable<void(const ReplicaChecksum&) &&> done_;
  ReplicaChecksum sum_;
};

}  // namespace

void ChecksumReplica(const std::shared_ptr<Shard>& shard, const ChecksumQuery& query,
                     absl::AnyInvocable<void(const ReplicaChecksum&) &&> done) {
  std::make_shared<Run>(shard, query, std::move(done))->Start();
}

}  // namespace millrace::broker
