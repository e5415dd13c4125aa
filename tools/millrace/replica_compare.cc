#include "tools/millrace/replica_compare.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "tools/millrace/command.h"

namespace millrace::tools {
namespace {

// Changes of the replicas while one range is compared: elections, deletions.
constexpr int kTriesMax = 20;
constexpr absl::Duration kPause = absl::Milliseconds(100);

// The replica is not what it was when its bounds were asked for.
bool HasChanged(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kFencedLeaderEpoch:
    case ErrorCode::kUnknownLeaderEpoch:
    case ErrorCode::kOffsetOutOfRange:
    case ErrorCode::kOffsetNotAvailable:
      return true;
    default:
      return false;
  }
}

absl::Status StatusOf(const absl::StatusOr<v1::ChecksumReplicaResponse>& response) {
  return response.ok() ? ResultStatus(response->code(), response->message()) : response.status();
}

class Comparer {
 public:
  Comparer(const std::string& topic, const v1::PartitionDescription& partition, int32_t range_bytes,
           AskReplica ask, CompareProgress progress)
      : topic_(topic),
        partition_(partition),
        range_bytes_(range_bytes),
        ask_(ask),
        progress_(progress) {}

  PartitionComparison Run() {
    for (const int32_t broker : partition_.replicas()) {
      result_.replicas.emplace_back().broker = broker;
    }
    AskBounds();
    position_ = result_.from_offset = start_;
    for (int tries = 0; position_ < end_ && tries < kTriesMax;) {
      const int64_t before = position_;
      if (!CompareRange()) break;
      progress_(position_, end_);
      tries = position_ > before ? 0 : tries + 1;
    }
    result_.to_offset = std::max(position_, result_.from_offset);
    if (position_ < end_ && !result_.difference.has_value() && OfAll().ok()) {
      result_.replicas.front().status =
          MakeError(ErrorCode::kOffsetNotAvailable,
                    absl::StrCat("the replicas change too often to be compared from offset ",
                                 position_, " on: ask again"));
    }
    return std::move(result_);
  }

 private:
  struct Asked {
    size_t replica = 0;
    absl::Status status;
    v1::ChecksumReplicaResponse sum;
  };

  absl::Status OfAll() const {
    for (const ComparedReplica& replica : result_.replicas) RETURN_IF_ERROR(replica.status);
    return absl::OkStatus();
  }

  absl::StatusOr<v1::ChecksumReplicaResponse> Ask(size_t replica, int64_t from, int64_t to,
                                                  int32_t bytes_max) {
    v1::ChecksumReplicaRequest request;
    request.set_broker_id(result_.replicas[replica].broker);
    request.set_topic(topic_);
    request.set_partition(partition_.partition());
    request.set_from_offset(from);
    request.set_to_offset(to);
    request.set_max_bytes(bytes_max);
    if (bytes_max > 0) request.set_leader_epoch(epochs_[replica]);
    return ask_(result_.replicas[replica].broker, request);
  }

  // What all that answer have in common, from here on: the leader first, which has most of it.
  void AskBounds() {
    epochs_.assign(result_.replicas.size(), -1);
    order_.clear();
    start_ = position_;
    end_ = std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i < result_.replicas.size(); ++i) {
      ComparedReplica& replica = result_.replicas[i];
      const auto bounds = Ask(i, 0, 0, 0);
      replica.status = StatusOf(bounds);
      if (!replica.status.ok()) continue;
      epochs_[i] = bounds->leader_epoch();
      replica.is_leader = bounds->is_leader();
      replica.log_start_offset = bounds->log_start_offset();
      replica.end_offset = bounds->end_offset();
      start_ = std::max(start_, replica.log_start_offset);
      end_ = std::min(end_, replica.end_offset);
      order_.insert(replica.is_leader ? order_.begin() : order_.end(), i);
    }
    // One alone is read too, so that damage is found.
    if (order_.empty()) end_ = start_;
    position_ = start_;
  }

  // All of [position_, to) of about `bytes_max` bytes, from the one whose batches bound the range
  // on. Whether nobody says that it has changed, or is gone.
  bool AskAll(int32_t bytes_max, std::vector<Asked>* all) {
    int64_t to = end_;
    bool steady = true;
    for (const size_t i : order_) {
      auto sum = Ask(i, position_, to, bytes_max);
      Asked& asked = all->emplace_back();
      asked.replica = i;
      asked.status = StatusOf(sum);
      if (sum.ok()) asked.sum = *std::move(sum);
      if (asked.status.ok() && bytes_max != kAllBytes) {
        to = asked.sum.next_offset();
        bytes_max = kAllBytes;
      }
      const bool damaged = CodeOf(asked.status) == ErrorCode::kCorruptLog;
      steady &= asked.status.ok() || damaged;
    }
    return steady;
  }

  static bool Alike(const std::vector<Asked>& all) {
    return std::all_of(all.begin(), all.end(), [&](const Asked& asked) {
      return asked.status.ok() && asked.sum.from_offset() == all[0].sum.from_offset() &&
             asked.sum.next_offset() == all[0].sum.next_offset() &&
             asked.sum.bytes() == all[0].sum.bytes() && asked.sum.crc32c() == all[0].sum.crc32c();
    });
  }

  // Where the range of the answers ends: as those say who could read it.
  int64_t EndOf(const std::vector<Asked>& all) const {
    int64_t end = -1;
    for (const Asked& asked : all) {
      if (!asked.status.ok()) continue;
      end = end < 0 ? asked.sum.next_offset() : std::min(end, asked.sum.next_offset());
    }
    return std::max(end, position_ + 1);
  }

  // One range. False: there is no use in going on.
  bool CompareRange() {
    std::vector<Asked> all;
    if (!AskAll(range_bytes_, &all)) return AfterChange(all);
    if (Alike(all)) {
      result_.bytes += all[0].sum.bytes();
      position_ = std::max(all[0].sum.next_offset(), position_);
      if (all[0].sum.bytes() > 0) return true;
      // A batch of the first goes beyond the end, which is one of a batch at another.
      if (all[0].sum.end_offset() >= end_) Tell(all);
      return false;
    }
    Narrow(std::move(all));
    return false;
  }

  bool AfterChange(const std::vector<Asked>& all) {
    for (const Asked& asked : all) {
      if (asked.status.ok() || CodeOf(asked.status) == ErrorCode::kCorruptLog) continue;
      if (HasChanged(asked.status)) continue;
      result_.replicas[asked.replica].status = asked.status;
      return false;
    }
    absl::SleepFor(kPause);
    AskBounds();
    return !order_.empty();
  }

  // Halves the range that differs, until it is one batch.
  void Narrow(std::vector<Asked> differing) {
    for (int32_t bytes = range_bytes_ / 2; bytes > 0; bytes /= 2) {
      std::vector<Asked> all;
      bool steady = AskAll(bytes, &all);
      // The difference is behind it: in one of the next few.
      while (steady && Alike(all) && all[0].sum.bytes() > 0) {
        position_ = all[0].sum.next_offset();
        all.clear();
        steady = position_ < end_ && AskAll(bytes, &all);
      }
      if (!steady || Alike(all)) break;
      differing = std::move(all);
    }
    Tell(differing);
  }

  void Tell(const std::vector<Asked>& differing) {
    Difference& difference = result_.difference.emplace();
    difference.from_offset = position_;
    difference.to_offset = EndOf(differing);
    for (const Asked& asked : differing) {
      difference.sums.push_back({result_.replicas[asked.replica].broker, asked.sum.bytes(),
                                 asked.sum.crc32c(), asked.status});
    }
  }

  static constexpr int32_t kAllBytes = std::numeric_limits<int32_t>::max();

  const std::string& topic_;
  const v1::PartitionDescription& partition_;
  const int32_t range_bytes_;
  const AskReplica ask_;
  const CompareProgress progress_;
  PartitionComparison result_;
  // By replica, as its bounds said.
  std::vector<int32_t> epochs_;
  // Those that answer, in the order in which they are asked.
  std::vector<size_t> order_;
  int64_t start_ = 0;
  int64_t end_ = 0;
  int64_t position_ = 0;
};

}  // namespace

absl::Status PartitionComparison::Verdict() const {
  if (difference.has_value()) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("the replicas differ at offsets ", difference->from_offset,
                                  " to ", difference->to_offset - 1));
  }
  for (const ComparedReplica& replica : replicas) {
    if (replica.status.ok()) continue;
    return Annotate(replica.status, absl::StrCat("broker ", replica.broker));
  }
  return absl::OkStatus();
}

PartitionComparison CompareReplicas(const std::string& topic,
                                    const v1::PartitionDescription& partition, int32_t range_bytes,
                                    AskReplica ask, CompareProgress progress) {
  return Comparer(topic, partition, range_bytes, ask, progress).Run();
}

}  // namespace millrace::tools
