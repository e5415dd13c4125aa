#include "client/consumer.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "client/bootstrap_servers.h"
#include "client/client_security.h"
#include "client/consumer_strand.h"
#include "client/fetched_records.h"
#include "client/grpc_log_channel.h"
#include "client/offset_lookup.h"
#include "client/topic_news.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::client {
namespace {

// Room made for a poll at once; one with a larger max.poll.records may never get so many.
constexpr int64_t kReservedMax = 500;

api::IsolationLevel IsolationOf(const ConsumerConfig& config) {
  return config.isolation_level == "read_uncommitted" ? api::IsolationLevel::kReadUncommitted
                                                      : api::IsolationLevel::kReadCommitted;
}

ConsumerCoreOptions CoreOptions(const ConsumerConfig& config) {
  ConsumerCoreOptions options{.isolation_level = IsolationOf(config),
                              .reset = std::nullopt,
                              .prefetch_bytes = config.prefetch_bytes,
                              .partition_bytes_max = static_cast<int32_t>(std::min(
                                  config.max_partition_fetch_bytes, config.fetch_max_bytes)),
                              .retry_backoff = absl::Milliseconds(config.retry_backoff_ms),
                              .client_id = config.client_id,
                              .rack = config.client_rack};
  if (config.auto_offset_reset == "earliest") options.reset = Position::Kind::kEarliest;
  if (config.auto_offset_reset == "latest") options.reset = Position::Kind::kLatest;
  return options;
}

OffsetLookup::Options LookupOptions(const ConsumerConfig& config) {
  return {.isolation_level = IsolationOf(config),
          .request_timeout = absl::Milliseconds(config.request_timeout_ms),
          .retry_backoff = absl::Milliseconds(config.retry_backoff_ms)};
}

class GrpcConsumer final : public Consumer {
 public:
  GrpcConsumer(ConsumerConfig config, std::shared_ptr<grpc::ChannelCredentials> credentials)
      : config_(std::move(config)),
        strand_(CoreOptions(config_), absl::Milliseconds(config_.request_timeout_ms), &executor_,
                &clock_, &news_, &inbox_),
        channel_(
            {.bootstrap_servers = config_.bootstrap_servers, .credentials = std::move(credentials)},
            &executor_, &strand_) {
    strand_.SetChannel(&channel_);
  }
  ~GrpcConsumer() override { executor_.Shutdown(); }

  absl::StatusOr<std::vector<PartitionIndex>> Partitions(const std::string& topic,
                                                         absl::Duration timeout) override;
  absl::StatusOr<TopicId> TopicIdOf(const std::string& topic, absl::Duration timeout) override;
  absl::Status Assign(std::map<NamedPartition, Position> partitions) override;
  absl::Status Seek(const NamedPartition& partition, Position position) override;
  absl::Status Pause(const std::vector<NamedPartition>& partitions) override;
  absl::Status Resume(const std::vector<NamedPartition>& partitions) override;
  absl::StatusOr<std::vector<ConsumedRecord>> Poll(absl::Duration timeout) override;
  absl::StatusOr<int64_t> PollBorrowed(
      absl::Duration timeout, absl::FunctionRef<void(const BorrowedConsumedRecord&)> take) override;
  absl::StatusOr<Offset> PositionOf(const NamedPartition& partition) override;
  absl::StatusOr<Position> ResumePositionOf(const NamedPartition& partition) override;
  absl::StatusOr<std::map<NamedPartition, std::pair<Offset, Offset>>> OffsetRange(
      const std::vector<NamedPartition>& partitions, absl::Duration timeout) override;
  absl::StatusOr<std::map<NamedPartition, Offset>> BeginningOffsets(
      const std::vector<NamedPartition>& partitions, absl::Duration timeout) override {
    return OffsetsAt(partitions, Position::Kind::kEarliest, clock_.Now() + timeout);
  }
  absl::StatusOr<std::map<NamedPartition, Offset>> EndOffsets(
      const std::vector<NamedPartition>& partitions, absl::Duration timeout) override {
    return OffsetsAt(partitions, Position::Kind::kLatest, clock_.Now() + timeout);
  }
  absl::StatusOr<std::map<NamedPartition, OffsetAndTime>> OffsetsForTimes(
      const std::map<NamedPartition, int64_t>& times_ms, absl::Duration timeout) override;

 private:
  // What the caller knows of an assigned partition.
  struct Assigned {
    // Of its latest change: what comes with another one is out of date.
    uint64_t generation = 0;
    // Of the latest change that said where to read. Which offset that is may be told under each
    // generation from then on: a pause or its end makes it no other one.
    uint64_t begun = 0;
    // Where reading goes on: an offset once it was looked up.
    Position position;
    bool paused = false;
    // Why it is not read any more; OK: it is.
    absl::Status failure;
  };
  // What the strand has told of a partition and the caller has not come to yet: records, or that
  // reading goes on elsewhere, or that it has failed, each in its turn.
  struct Chunk {
    NamedPartition partition;
    uint64_t generation = 0;
    CreditSource source;
    int64_t bytes = 0;
    FetchedRecords records;
    std::optional<Offset> resolved;
    absl::Status failure;
  };
  void Take(ConsumerOutput::Fetched fetched);
  void TakeWord(const NamedPartition& partition, uint64_t generation,
                std::optional<Offset> resolved, const absl::Status& failure);
  void Apply(const Chunk& word);
  void TakeInbox();
  // The partition, if what came for it under this generation still counts; else null.
  Assigned* Current(const NamedPartition& partition, uint64_t generation);
  // Gives records from the chunks to `take`, up to max.poll.records; says how many.
  int64_t Collect(absl::FunctionRef<void(const BorrowedConsumedRecord&)> take);
  void DropFrontChunk();
  absl::Status FirstFailure() const;

  absl::Status NotAssigned(const NamedPartition& partition) const;
  absl::StatusOr<std::map<NamedPartition, Offset>> OffsetsAt(
      const std::vector<NamedPartition>& partitions, Position::Kind kind, MonotonicTime deadline);

  const ConsumerConfig config_;
  const SystemClock clock_;
  // All the caller's.
  std::map<NamedPartition, Assigned> assigned_;
  std::deque<Chunk> chunks_;
  uint64_t next_generation_ = 1;

  TopicNews news_;
  ConsumerInbox inbox_;
  rpc::CompletionQueueExecutor executor_{&clock_, "consumer-client"};
  ConsumerStrand strand_;
  GrpcLogChannel channel_;
  OffsetLookup lookup_{LookupOptions(config_), &executor_, &strand_, &news_, &clock_};
};

absl::Status GrpcConsumer::NotAssigned(const NamedPartition& partition) const {
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat(TextOf(partition), " is not assigned: assign it first"),
                   {.name = "partition", .value = TextOf(partition)});
}

absl::Status GrpcConsumer::Assign(std::map<NamedPartition, Position> partitions) {
  const uint64_t generation = next_generation_++;
  assigned_.clear();
  for (const auto& [name, position] : partitions) {
    assigned_[name] = {.generation = generation, .begun = generation, .position = position};
  }
  executor_.Post([this, partitions = std::move(partitions), generation] {
    strand_.Assign(partitions, generation);
  });
  return absl::OkStatus();
}

absl::Status GrpcConsumer::Seek(const NamedPartition& partition, Position position) {
  const auto found = assigned_.find(partition);
  if (found == assigned_.end()) return NotAssigned(partition);
  const uint64_t generation = next_generation_++;
  found->second.generation = found->second.begun = generation;
  found->second.position = position;
  found->second.failure = absl::OkStatus();
  executor_.Post(
      [this, partition, position, generation] { strand_.Seek(partition, position, generation); });
  return absl::OkStatus();
}

absl::Status GrpcConsumer::Pause(const std::vector<NamedPartition>& partitions) {
  for (const NamedPartition& partition : partitions) {
    const auto found = assigned_.find(partition);
    if (found == assigned_.end()) return NotAssigned(partition);
    if (found->second.paused) continue;
    found->second.paused = true;
    const uint64_t generation = found->second.generation = next_generation_++;
    executor_.Post([this, partition, generation] { strand_.Pause(partition, generation); });
  }
  return absl::OkStatus();
}

absl::Status GrpcConsumer::Resume(const std::vector<NamedPartition>& partitions) {
  for (const NamedPartition& partition : partitions) {
    const auto found = assigned_.find(partition);
    if (found == assigned_.end()) return NotAssigned(partition);
    if (!found->second.paused) continue;
    found->second.paused = false;
    const uint64_t generation = found->second.generation = next_generation_++;
    std::optional<Position> from;
    if (found->second.position.kind == Position::Kind::kOffset) from = found->second.position;
    executor_.Post(
        [this, partition, from, generation] { strand_.Resume(partition, from, generation); });
  }
  return absl::OkStatus();
}

absl::StatusOr<Offset> GrpcConsumer::PositionOf(const NamedPartition& partition) {
  ASSIGN_OR_RETURN(const Position position, ResumePositionOf(partition));
  return position.kind == Position::Kind::kOffset ? position.offset : kNoOffset;
}

absl::StatusOr<Position> GrpcConsumer::ResumePositionOf(const NamedPartition& partition) {
  TakeInbox();
  const auto found = assigned_.find(partition);
  if (found == assigned_.end()) return NotAssigned(partition);
  return found->second.position;
}

absl::StatusOr<std::vector<ConsumedRecord>> GrpcConsumer::Poll(absl::Duration timeout) {
  std::vector<ConsumedRecord> records;
  const auto take = [&](const BorrowedConsumedRecord& borrowed) {
    if (records.empty())
      records.reserve(static_cast<size_t>(std::min(config_.max_poll_records, kReservedMax)));
    ConsumedRecord& record = records.emplace_back();
    record.topic = borrowed.topic;
    record.partition = borrowed.partition;
    record.offset = borrowed.record.offset;
    record.leader_epoch = borrowed.leader_epoch;
    FetchedRecords::Copy(borrowed.record, &record.record);
  };
  RETURN_IF_ERROR(PollBorrowed(timeout, take).status());
  return records;
}

absl::StatusOr<int64_t> GrpcConsumer::PollBorrowed(
    absl::Duration timeout, absl::FunctionRef<void(const BorrowedConsumedRecord&)> take) {
  const MonotonicTime deadline = clock_.Now() + timeout;
  while (true) {
    TakeInbox();
    const int64_t records = Collect(take);
    if (records > 0) return records;
    RETURN_IF_ERROR(FirstFailure());
    const MonotonicTime now = clock_.Now();
    if (now >= deadline) return 0;
    inbox_.Wait(deadline - now);
  }
}

absl::Status GrpcConsumer::FirstFailure() const {
  for (const auto& [name, assigned] : assigned_) RETURN_IF_ERROR(assigned.failure);
  return absl::OkStatus();
}

GrpcConsumer::Assigned* GrpcConsumer::Current(const NamedPartition& partition,
                                              uint64_t generation) {
  const auto found = assigned_.find(partition);
  if (found == assigned_.end() || found->second.generation != generation) return nullptr;
  return &found->second;
}

void GrpcConsumer::Take(ConsumerOutput::Fetched fetched) {
  // The core hands on one piece.
  Bytes batches = std::move(fetched.batches.front());
  const auto bytes = static_cast<int64_t>(batches.size());
  chunks_.push_back({std::move(fetched.partition), fetched.generation, fetched.source, bytes,
                     FetchedRecords(std::move(batches), config_.check_crcs), std::nullopt,
                     absl::OkStatus()});
}

void GrpcConsumer::TakeWord(const NamedPartition& partition, uint64_t generation,
                            std::optional<Offset> resolved, const absl::Status& failure) {
  Chunk word{partition, generation, {}, 0, FetchedRecords(Bytes(), false), resolved, failure};
  // What was fetched before is read before.
  const bool waits = std::any_of(chunks_.begin(), chunks_.end(), [&](const Chunk& chunk) {
    return chunk.partition == partition && chunk.generation == generation;
  });
  if (waits) {
    chunks_.push_back(std::move(word));
  } else {
    Apply(word);
  }
}

void GrpcConsumer::Apply(const Chunk& word) {
  const auto found = assigned_.find(word.partition);
  if (found == assigned_.end()) return;
  Assigned& assigned = found->second;
  const bool is_current = word.generation == assigned.generation;
  const bool is_awaited =
      assigned.position.kind != Position::Kind::kOffset && word.generation >= assigned.begun;
  if (word.resolved.has_value() && (is_current || is_awaited)) {
    assigned.position = {.kind = Position::Kind::kOffset, .offset = *word.resolved};
  }
  if (!word.failure.ok() && is_current) assigned.failure = word.failure;
}

void GrpcConsumer::TakeInbox() {
  for (ConsumerInbox::Item& item : inbox_.TakeAll()) {
    if (auto* fetched = std::get_if<ConsumerOutput::Fetched>(&item)) {
      Take(std::move(*fetched));
    } else if (auto* resolved = std::get_if<ConsumerOutput::Resolved>(&item)) {
      TakeWord(resolved->partition, resolved->generation, resolved->offset, absl::OkStatus());
    } else if (auto* failed = std::get_if<ConsumerOutput::Failed>(&item)) {
      TakeWord(failed->partition, failed->generation, std::nullopt, failed->status);
    }
  }
}

void GrpcConsumer::DropFrontChunk() {
  // A word costs no credit.
  if (chunks_.front().bytes == 0) return chunks_.pop_front();
  executor_.Post([this, source = chunks_.front().source, bytes = chunks_.front().bytes] {
    strand_.Consumed(source, bytes);
  });
  chunks_.pop_front();
}

// Moves the position with its epoch, which is that of the batch it lies in or behind.
absl::StatusOr<bool> NextRecord(FetchedRecords* records, Position* position,
                                record::RecordView* view) {
  ASSIGN_OR_RETURN(const bool more, records->Next(&position->offset, view));
  if (records->leader_epoch() != kNoLeaderEpoch) position->leader_epoch = records->leader_epoch();
  return more;
}

int64_t GrpcConsumer::Collect(absl::FunctionRef<void(const BorrowedConsumedRecord&)> take) {
  int64_t taken = 0;
  record::RecordView view;
  while (!chunks_.empty()) {
    Chunk& chunk = chunks_.front();
    Assigned* assigned = Current(chunk.partition, chunk.generation);
    if (assigned == nullptr || !assigned->failure.ok()) {
      DropFrontChunk();
      continue;
    }
    Apply(chunk);
    while (taken < config_.max_poll_records) {
      const absl::StatusOr<bool> more = NextRecord(&chunk.records, &assigned->position, &view);
      if (!more.ok()) {
        assigned->failure =
            Annotate(more.status(), absl::StrCat(TextOf(chunk.partition), " at offset ",
                                                 assigned->position.offset.value()));
        break;
      }
      if (!*more) break;
      take({.topic = chunk.partition.topic,
            .partition = chunk.partition.partition,
            .leader_epoch = chunk.records.leader_epoch(),
            .record = view});
      ++taken;
    }
    if (taken >= config_.max_poll_records) break;
    DropFrontChunk();
  }
  return taken;
}

absl::StatusOr<std::vector<PartitionIndex>> GrpcConsumer::Partitions(const std::string& topic,
                                                                     absl::Duration timeout) {
  RETURN_IF_ERROR(lookup_.AwaitTopics({topic}, clock_.Now() + timeout));
  std::vector<PartitionIndex> partitions;
  const std::shared_ptr<const TopicTable> table = news_.board.Read();
  const api::TopicLeaders* leaders = table->Find(topic);
  if (leaders == nullptr) return partitions;
  for (const api::PartitionLeader& leader : leaders->partitions) {
    partitions.push_back(leader.partition);
  }
  std::sort(partitions.begin(), partitions.end());
  return partitions;
}

absl::StatusOr<TopicId> GrpcConsumer::TopicIdOf(const std::string& topic, absl::Duration timeout) {
  RETURN_IF_ERROR(lookup_.AwaitTopics({topic}, clock_.Now() + timeout));
  const std::shared_ptr<const TopicTable> table = news_.board.Read();
  const api::TopicLeaders* leaders = table->Find(topic);
  return leaders == nullptr ? TopicId() : leaders->topic_id;
}

absl::StatusOr<std::map<NamedPartition, Offset>> GrpcConsumer::OffsetsAt(
    const std::vector<NamedPartition>& partitions, Position::Kind kind, MonotonicTime deadline) {
  OffsetLookup::Wanted wanted;
  for (const NamedPartition& name : partitions) wanted[name] = {.kind = kind};
  ASSIGN_OR_RETURN(const OffsetLookup::Found found, lookup_.Ask(std::move(wanted), deadline));
  std::map<NamedPartition, Offset> offsets;
  for (const auto& [name, at] : found) offsets[name] = at.offset;
  return offsets;
}

absl::StatusOr<std::map<NamedPartition, std::pair<Offset, Offset>>> GrpcConsumer::OffsetRange(
    const std::vector<NamedPartition>& partitions, absl::Duration timeout) {
  const MonotonicTime deadline = clock_.Now() + timeout;
  ASSIGN_OR_RETURN(const auto earliest, OffsetsAt(partitions, Position::Kind::kEarliest, deadline));
  ASSIGN_OR_RETURN(const auto latest, OffsetsAt(partitions, Position::Kind::kLatest, deadline));
  std::map<NamedPartition, std::pair<Offset, Offset>> ranges;
  for (const auto& [name, offset] : earliest) ranges[name] = {offset, latest.at(name)};
  return ranges;
}

absl::StatusOr<std::map<NamedPartition, OffsetAndTime>> GrpcConsumer::OffsetsForTimes(
    const std::map<NamedPartition, int64_t>& times_ms, absl::Duration timeout) {
  OffsetLookup::Wanted wanted;
  for (const auto& [name, time_ms] : times_ms) {
    wanted[name] = {.kind = Position::Kind::kTimestamp, .timestamp_ms = time_ms};
  }
  ASSIGN_OR_RETURN(OffsetLookup::Found found,
                   lookup_.Ask(std::move(wanted), clock_.Now() + timeout));
  std::erase_if(found, [](const auto& entry) { return entry.second.offset == kNoOffset; });
  return found;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Consumer>> Consumer::Create(const ConfigValues& values) {
  ASSIGN_OR_RETURN(ConsumerConfig config, ConsumerSchema().Parse(values));
  RETURN_IF_ERROR(CheckBootstrapServers(config.bootstrap_servers));
  ASSIGN_OR_RETURN(auto credentials, MakeCredentials({.protocol = config.security_protocol,
                                                      .truststore = config.ssl_truststore_location,
                                                      .keystore = config.ssl_keystore_location}));
  return std::make_unique<GrpcConsumer>(std::move(config), std::move(credentials));
}

}  // namespace millrace::client
