#include "broker/fetch_stream.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::broker {

// The stream's working part; answers that are under way keep it alive, and find it closed.
class FetchStream::Pump : public std::enable_shared_from_this<Pump> {
 public:
  Pump(Gather* gather, const Caller& caller, Sink sink)
      : gather_(gather), caller_(caller), sink_(std::move(sink)) {}

  absl::Status Handle(api::FetchStreamRequest request);
  void SetWritable(bool writable) {
    writable_ = writable;
    Run();
  }
  void Close();

  int64_t credit_bytes() const { return credit_bytes_; }
  size_t assigned() const { return assigned_.size(); }

 private:
  enum class Position { kReady, kReading, kParked };
  struct Assigned {
    api::PartitionName name;
    Offset offset;
    std::optional<LeaderEpoch> leader_epoch;
    size_t bytes_max = 0;
    Position position = Position::kReady;
    ParkId park{0};
    MonotonicTime parked_since;
    // Told apart from an earlier assignment of the same partition, whose read may still be out.
    uint64_t generation = 0;
  };

  // Two, so that the disk and the network work at the same time.
  static constexpr int kReadsMax = 2;

  void Assign(const api::FetchPartition& partition);
  void Remove(const TopicPartition& partition);
  void Run();
  void Read(const TopicPartition& partition, Assigned* assigned);
  void OnRead(const TopicPartition& partition, uint64_t generation, int64_t reserved,
              ShardFetchResult result);
  // `late`: for its disk, not for records.
  void Park(const TopicPartition& partition, Assigned* assigned, bool late);
  void OnWake(const TopicPartition& partition, ParkId park);
  void Push(api::FetchPartitionResult result);

  Gather* const gather_;
  const Caller caller_;
  Sink sink_;
  bool writable_ = true;
  const std::shared_ptr<FetchReader> reader_ = std::make_shared<FetchReader>();
  int64_t credit_bytes_ = 0;
  // Of the credit, what reads that are under way may use.
  int64_t reserved_bytes_ = 0;
  // The reader's; empty: it has told none.
  std::string rack_;
  uint64_t assignment_number_ = 0;
  uint64_t next_generation_ = 1;
  std::map<TopicPartition, Assigned> assigned_;
  // Partitions to read next, in turn; may name some that are gone or not ready any more.
  std::deque<TopicPartition> ready_;
  int reads_ = 0;
  bool running_ = false;
};

absl::Status FetchStream::Pump::Handle(api::FetchStreamRequest request) {
  if (request.credit_bytes < 0) {
    return MakeError(ErrorCode::kInvalidRequest, "credit is given, not taken back",
                     {.name = "credit_bytes", .value = absl::StrCat(request.credit_bytes)});
  }
  if (!request.rack.empty()) rack_ = std::move(request.rack);
  assignment_number_ = std::max(assignment_number_, request.assignment_number);
  credit_bytes_ += std::min(request.credit_bytes, INT64_MAX - std::max<int64_t>(credit_bytes_, 0));
  for (const api::FetchPartition& partition : request.unassign) {
    const auto resolved = gather_->Resolve(partition.name, caller_, metadata::Operation::kRead);
    if (resolved.ok()) Remove(*resolved);
  }
  for (const api::FetchPartition& partition : request.assign) Assign(partition);
  Run();
  return absl::OkStatus();
}

void FetchStream::Pump::Assign(const api::FetchPartition& partition) {
  const auto resolved = gather_->Resolve(partition.name, caller_, metadata::Operation::kRead);
  if (!resolved.ok()) {
    api::FetchPartitionResult result;
    result.name = partition.name;
    result.outcome = api::PartitionOutcome::Of(resolved.status());
    return Push(std::move(result));
  }
  Remove(*resolved);
  Assigned& assigned = assigned_[*resolved];
  assigned.name = partition.name;
  assigned.name.topic_id = resolved->topic_id;
  assigned.offset = partition.offset;
  assigned.leader_epoch = partition.leader_epoch;
  assigned.bytes_max = static_cast<size_t>(
      partition.bytes_max > 0 ? partition.bytes_max : api::kDefaultPartitionBytesMax);
  assigned.generation = next_generation_++;
  ready_.push_back(*resolved);
}

void FetchStream::Pump::Remove(const TopicPartition& partition) {
  const auto found = assigned_.find(partition);
  if (found == assigned_.end()) return;
  if (found->second.position == Position::kParked) {
    const std::shared_ptr<Shard> shard = gather_->ShardOf(partition);
    gather_->On(shard, [shard, park = found->second.park] { shard->Unpark(park); });
  }
  assigned_.erase(found);
}

void FetchStream::Pump::Close() {
  sink_ = nullptr;
  ready_.clear();
  while (!assigned_.empty()) Remove(assigned_.begin()->first);
}

void FetchStream::Pump::Run() {
  // Reads of the own shard return at once, and run on from here.
  if (std::exchange(running_, true)) return;
  while (sink_ != nullptr && writable_ && credit_bytes_ > reserved_bytes_ && reads_ < kReadsMax &&
         !ready_.empty()) {
    const TopicPartition partition = ready_.front();
    ready_.pop_front();
    const auto assigned = assigned_.find(partition);
    if (assigned != assigned_.end() && assigned->second.position == Position::kReady) {
      Read(partition, &assigned->second);
    }
  }
  running_ = false;
}

void FetchStream::Pump::Read(const TopicPartition& partition, Assigned* assigned) {
  assigned->position = Position::kReading;
  ++reads_;
  ShardFetchItem item;
  item.topic_partition = partition;
  item.offset = assigned->offset;
  item.leader_epoch = assigned->leader_epoch;
  item.bytes_max = assigned->bytes_max;
  item.nearby = gather_->IsNearby(rack_);
  const int64_t reserved =
      std::min({credit_bytes_ - reserved_bytes_, static_cast<int64_t>(assigned->bytes_max),
                gather_->options().fetch_bytes_max});
  reserved_bytes_ += reserved;
  const FetchBudget budget{static_cast<size_t>(reserved), true, reader_};
  gather_->Read(gather_->ShardOf(partition), {item}, budget,
                [self = shared_from_this(), partition, reserved, generation = assigned->generation](
                    std::vector<ShardFetchResult> results, FetchBudget) mutable {
                  self->OnRead(partition, generation, reserved, std::move(results.front()));
                });
}

void FetchStream::Pump::OnRead(const TopicPartition& partition, uint64_t generation,
                               int64_t reserved, ShardFetchResult result) {
  --reads_;
  reserved_bytes_ -= reserved;
  const auto found = assigned_.find(partition);
  if (sink_ == nullptr || found == assigned_.end() || found->second.generation != generation) {
    return Run();
  }
  Assigned& assigned = found->second;
  const Offset from = std::exchange(assigned.offset, result.next_offset);
  const bool at_end = result.outcome.ok() && result.bytes == 0;
  if (at_end) {
    Park(partition, &assigned, result.late);
    return Run();
  }
  api::FetchPartitionResult out;
  out.name = assigned.name;
  out.fetch_offset = from;
  out.outcome = std::move(result.outcome);
  out.high_watermark = result.high_watermark;
  out.last_stable_offset = result.last_stable_offset;
  out.log_start_offset = result.log_start_offset;
  out.batches = std::move(result.batches);
  credit_bytes_ -= static_cast<int64_t>(result.bytes);
  if (out.outcome.ok()) {
    out.preferred_read_replica = gather_->NearReplica(partition, rack_);
    assigned.position = Position::kReady;
    ready_.push_back(partition);
  } else {
    gather_->FillHint(caller_, &out.outcome);
    assigned_.erase(found);
  }
  Push(std::move(out));
  Run();
}

void FetchStream::Pump::Park(const TopicPartition& partition, Assigned* assigned, bool late) {
  assigned->position = Position::kParked;
  assigned->park = gather_->NewParkId();
  assigned->parked_since = gather_->now();
  const ParkItem item{.topic_partition = partition,
                      .offset = assigned->offset,
                      .leader_epoch = assigned->leader_epoch,
                      .nearby = gather_->IsNearby(rack_),
                      .late = late};
  const std::shared_ptr<Shard> shard = gather_->ShardOf(partition);
  gather_->On(shard, [self = shared_from_this(), shard, item, park = assigned->park]() mutable {
    shard->Park(park, {item},
                [self = std::move(self), shard, park, partition = item.topic_partition]() mutable {
                  Gather* const gather = self->gather_;
                  gather->Back(*shard, [self = std::move(self), partition, park] {
                    self->OnWake(partition, park);
                  });
                });
  });
}

void FetchStream::Pump::OnWake(const TopicPartition& partition, ParkId park) {
  const auto found = assigned_.find(partition);
  if (found == assigned_.end() || found->second.position != Position::kParked ||
      found->second.park != park) {
    return;
  }
  gather_->NoteWait(found->second.parked_since);
  found->second.position = Position::kReady;
  ready_.push_back(partition);
  Run();
}

void FetchStream::Pump::Push(api::FetchPartitionResult result) {
  api::FetchStreamResponse response;
  response.assignment_number = assignment_number_;
  response.partitions.push_back(std::move(result));
  sink_(std::move(response));
}

// --- FetchStream ---

FetchStream::FetchStream(Gather* gather, const Caller& caller, Sink sink)
    : pump_(std::make_shared<Pump>(gather, caller, std::move(sink))) {}

FetchStream::~FetchStream() { pump_->Close(); }

absl::Status FetchStream::Handle(api::FetchStreamRequest request) {
  return pump_->Handle(std::move(request));
}

void FetchStream::SetWritable(bool writable) { pump_->SetWritable(writable); }

int64_t FetchStream::credit_bytes() const { return pump_->credit_bytes(); }

size_t FetchStream::assigned() const { return pump_->assigned(); }

}  // namespace millrace::broker
