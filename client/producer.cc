#include "client/producer.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "client/bootstrap_servers.h"
#include "client/client_security.h"
#include "client/grpc_log_channel.h"
#include "client/partitioner.h"
#include "client/producer_strand.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::client {
namespace {

api::Acks AcksNamed(const std::string& name) {
  if (name == "none" || name == "0") return api::Acks::kNone;
  if (name == "leader" || name == "1") return api::Acks::kLeader;
  return api::Acks::kAll;
}

// How many batches of a producer a partition remembers (KIP-98).
constexpr int64_t kInFlightMaxIdempotent = 5;

// Turns idempotence off where another setting does not allow it. Errors: INVALID_CONFIG if it was
// asked for.
absl::Status SettleIdempotence(const ConfigValues& given, ProducerConfig* config) {
  if (!config->enable_idempotence) return absl::OkStatus();
  std::string key;
  std::string value;
  if (AcksNamed(config->acks) != api::Acks::kAll) {
    key = "acks";
    value = config->acks;
  } else if (config->retries == 0) {
    key = "retries";
    value = "0";
  } else if (config->max_in_flight > kInFlightMaxIdempotent) {
    key = "max.in.flight.requests.per.connection";
    value = absl::StrCat(config->max_in_flight);
  } else {
    return absl::OkStatus();
  }
  config->enable_idempotence = false;
  if (given.count("enable.idempotence") == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("enable.idempotence=true does not go with ", key, "=", value,
                                ": it needs acks=all, retries, and at most ",
                                kInFlightMaxIdempotent, " requests in flight"),
                   {.name = key, .value = value});
}

ProducerCoreOptions CoreOptions(const ProducerConfig& config) {
  return {.acks = AcksNamed(config.acks),
          .linger = absl::Milliseconds(config.linger_ms),
          .delivery_timeout = absl::Milliseconds(config.delivery_timeout_ms),
          .request_timeout = absl::Milliseconds(config.request_timeout_ms),
          .retry_backoff = absl::Milliseconds(config.retry_backoff_ms),
          .retries = config.retries,
          .max_in_flight = static_cast<int>(config.max_in_flight),
          .request_bytes_max = static_cast<size_t>(config.max_request_size),
          .idempotent = config.enable_idempotence,
          .client_id = config.client_id};
}

// How long the wall clock is derived from the monotonic one, of which a reading is needed anyway: a
// clock that is set is seen soon enough.
constexpr int64_t kWallClockKeptNs = 10'000'000;

absl::optional<Slice> Borrow(const std::optional<std::string>& text) {
  if (!text.has_value()) return absl::nullopt;
  return Slice(*text);
}

class GrpcProducer final : public Producer {
 public:
  GrpcProducer(ProducerConfig config, record::Compression compression,
               CustomPartitioner partitioner, std::shared_ptr<grpc::ChannelCredentials> credentials)
      : config_(std::move(config)),
        compression_(compression),
        round_robin_(config_.partitioner_class == "round_robin"),
        partitioner_(std::move(partitioner)),
        strand_(CoreOptions(config_), &executor_, &clock_, &shared_),
        channel_({.bootstrap_servers = config_.bootstrap_servers,
                  .produce_through_bootstrap = config_.send_through_bootstrap,
                  .credentials = std::move(credentials)},
                 &executor_, &strand_) {
    strand_.SetChannel(&channel_);
  }
  ~GrpcProducer() override { Close(absl::ZeroDuration()).IgnoreError(); }

  absl::Status Send(const std::string& topic, Record record,
                    std::optional<PartitionIndex> partition, DeliveryCallback done) override;
  absl::Status SendBorrowed(const std::string& topic, const BorrowedRecord& record,
                            std::optional<PartitionIndex> partition,
                            DeliveryCallback done) override;
  absl::Status Flush(absl::Duration timeout) override;
  absl::Status Close(absl::Duration timeout) override;

 private:
  // What the caller knows of a topic.
  struct Topic {
    std::string name;
    TopicId id;
    int32_t partition_count = 0;
    size_t batch_bytes_max = 0;
    // By partition; null where nothing was sent yet.
    std::vector<ProducerPartition*> partitions;
    // Who leads, by partition, as PartitionLoad wants it.
    std::vector<bool> available;
    StickyPartition sticky{0};
    PartitionTurns turns{0};
    // Of the table this was last brought up to date with.
    uint64_t table_version = 0;
  };

  // The topic, as soon as the cluster has told of it. Errors: UNKNOWN_TOPIC_OR_PARTITION;
  // BROKER_NOT_AVAILABLE or REQUEST_TIMED_OUT after `deadline`.
  absl::StatusOr<Topic*> FindTopic(const std::string& name, MonotonicTime deadline);
  // Takes over the table's word on the topic; false if it has none.
  bool Update(Topic* topic);

  // `sticky`: whether the choice was the sticky partition's.
  absl::StatusOr<ProducerPartition*> Choose(Topic* topic, const BorrowedRecord& record,
                                            std::optional<PartitionIndex> partition, bool* sticky);
  // Of all partitions, in memory that is used again.
  absl::Span<const PartitionLoad> Loads(const Topic& topic);
  ProducerPartition* PartitionAt(Topic* topic, PartitionIndex index);
  static absl::Status NoSuchPartition(const Topic& topic, PartitionIndex partition);
  absl::Status CheckSize(const Topic& topic, size_t bytes_max) const;
  int64_t WallMs(MonotonicTime now);
  absl::Status ReserveMemory(int64_t bytes, MonotonicTime deadline);
  // Waits until `reached` is true or the deadline has passed; says whether it is true.
  template <class Condition>
  bool AwaitFall(MonotonicTime deadline, Condition reached);

  const ProducerConfig config_;
  const record::Compression compression_;
  const bool round_robin_;
  CustomPartitioner partitioner_;
  const SystemClock clock_;
  SystemRandom random_;
  // The caller's, but for what is atomic in it; the strand borrows partitions.
  bool closed_ = false;
  std::map<std::string, Topic> topics_;
  Topic* latest_topic_ = nullptr;
  // All that were ever sent to: a topic may come back under its former id, where a cluster is
  // restored, and its partitions are the strand's already.
  std::map<std::pair<TopicId, PartitionIndex>, std::unique_ptr<ProducerPartition>> partitions_;
  std::vector<record::Header> headers_;
  std::vector<PartitionLoad> loads_;
  // The latest reading of the wall clock, and when it was taken.
  int64_t wall_ms_ = 0;
  MonotonicTime wall_read_;
  ProducerShared shared_;

  rpc::CompletionQueueExecutor executor_{&clock_, "producer-client"};
  ProducerStrand strand_;
  GrpcLogChannel channel_;
};

absl::Status GrpcProducer::Send(const std::string& topic, Record record,
                                std::optional<PartitionIndex> partition, DeliveryCallback done) {
  headers_.clear();
  for (const RecordHeader& header : record.headers) {
    headers_.push_back({header.key, Borrow(header.value)});
  }
  const BorrowedRecord borrowed{.key = Borrow(record.key),
                                .value = Borrow(record.value),
                                .timestamp_ms = record.timestamp_ms,
                                .headers = headers_};
  return SendBorrowed(topic, borrowed, partition, std::move(done));
}

absl::Status GrpcProducer::SendBorrowed(const std::string& topic_name, const BorrowedRecord& record,
                                        std::optional<PartitionIndex> partition,
                                        DeliveryCallback done) {
  if (closed_) {
    return MakeError(ErrorCode::kShuttingDown, "the producer is closed: make another one");
  }
  const MonotonicTime now = clock_.Now();
  const MonotonicTime deadline = now + absl::Milliseconds(config_.max_block_ms);
  ASSIGN_OR_RETURN(Topic * topic, FindTopic(topic_name, deadline));

  const size_t bytes_max =
      record::BatchBuilder::RecordBytesMax(record.key, record.value, record.headers);
  RETURN_IF_ERROR(CheckSize(*topic, bytes_max));
  bool sticky = false;
  ASSIGN_OR_RETURN(ProducerPartition * target, Choose(topic, record, partition, &sticky));
  RETURN_IF_ERROR(ReserveMemory(static_cast<int64_t>(bytes_max), deadline));
  shared_.records.fetch_add(1);

  const int64_t timestamp_ms = record.timestamp_ms != 0 ? record.timestamp_ms : WallMs(now);
  const RecordSlot::Added added = target->slot.Add({.timestamp_ms = timestamp_ms,
                                                    .key = record.key,
                                                    .value = record.value,
                                                    .headers = record.headers,
                                                    .bytes_max = bytes_max},
                                                   std::move(done), topic->batch_bytes_max, now);
  if (added.began) target->batches.fetch_add(1, std::memory_order_relaxed);
  if (sticky && topic->sticky.Added(bytes_max, added.ended, topic->batch_bytes_max)) {
    topic->sticky.Switch(Loads(*topic), config_.partitioner_adaptive);
  }
  if (added.notify) {
    executor_.Post([this, target, full = added.full] { strand_.RecordsAdded(target, full); });
  }
  return absl::OkStatus();
}

int64_t GrpcProducer::WallMs(MonotonicTime now) {
  const int64_t kept_ns = now.nanos() - wall_read_.nanos();
  if (wall_ms_ != 0 && kept_ns < kWallClockKeptNs) return wall_ms_ + kept_ns / 1'000'000;
  wall_ms_ = clock_.WallNow().ms;
  wall_read_ = now;
  return wall_ms_;
}

absl::StatusOr<GrpcProducer::Topic*> GrpcProducer::FindTopic(const std::string& name,
                                                             MonotonicTime deadline) {
  Topic* topic = latest_topic_;
  if (topic == nullptr || topic->name != name) {
    const auto [found, added] = topics_.try_emplace(name);
    topic = &found->second;
    if (added) {
      topic->name = name;
      topic->sticky = StickyPartition(random_.Next());
      topic->turns = PartitionTurns(random_.Next());
      executor_.Post([this, name] { strand_.WatchTopic(name); });
    }
    latest_topic_ = topic;
  }
  const uint64_t version = shared_.news.board.version();
  if (topic->partition_count > 0 && topic->table_version == version) return topic;
  // Between the two it may have been deleted.
  while (!Update(topic)) {
    RETURN_IF_ERROR(AwaitTopic(&shared_.news, clock_, name, deadline));
  }
  return topic;
}

bool GrpcProducer::Update(Topic* topic) {
  const uint64_t version = shared_.news.board.version();
  const std::shared_ptr<const TopicTable> table = shared_.news.board.Read();
  const api::TopicLeaders* leaders = table->Find(topic->name);
  if (leaders == nullptr || leaders->code != ErrorCode::kNone || leaders->partitions.empty()) {
    return false;
  }
  // A topic made again under the same name is another one.
  if (topic->id != leaders->topic_id) {
    topic->partitions.clear();
    topic->sticky = StickyPartition(random_.Next());
  }
  topic->id = leaders->topic_id;
  topic->partition_count = static_cast<int32_t>(leaders->partitions.size());
  topic->partitions.resize(leaders->partitions.size());
  topic->batch_bytes_max =
      static_cast<size_t>(std::min(config_.batch_size, config_.max_request_size));
  if (leaders->message_bytes_max > 0) {
    topic->batch_bytes_max =
        std::min(topic->batch_bytes_max, static_cast<size_t>(leaders->message_bytes_max));
  }
  topic->available.assign(leaders->partitions.size(), false);
  for (const api::PartitionLeader& leader : leaders->partitions) {
    const auto at = static_cast<size_t>(std::max(0, leader.partition.value()));
    if (at < topic->available.size()) topic->available[at] = leader.leader_id != kNoNode;
  }
  topic->table_version = version;
  // The sticky partition may have lost its leader, or others have got theirs back.
  topic->sticky.Switch(Loads(*topic), config_.partitioner_adaptive);
  return true;
}

absl::StatusOr<ProducerPartition*> GrpcProducer::Choose(Topic* topic, const BorrowedRecord& record,
                                                        std::optional<PartitionIndex> partition,
                                                        bool* sticky) {
  if (!partition.has_value() && partitioner_) {
    partition = partitioner_(topic->name, record, topic->partition_count);
  }
  if (partition.has_value()) {
    const bool exists = partition->value() >= 0 && partition->value() < topic->partition_count;
    return exists ? absl::StatusOr<ProducerPartition*>(PartitionAt(topic, *partition))
                  : NoSuchPartition(*topic, *partition);
  }
  if (round_robin_) {
    return PartitionAt(topic, topic->turns.Next(Loads(*topic), /*adaptive=*/false));
  }
  if (record.key.has_value() && !config_.partitioner_ignore_keys) {
    return PartitionAt(topic, PartitionOfKey(*record.key, topic->partition_count));
  }
  *sticky = true;
  return PartitionAt(topic, topic->sticky.Current());
}

absl::Status GrpcProducer::NoSuchPartition(const Topic& topic, PartitionIndex partition) {
  return MakeError(ErrorCode::kUnknownTopicOrPartition,
                   absl::StrCat("topic '", topic.name, "' has no partition ", partition.value(),
                                ": it has ", topic.partition_count),
                   {.name = "partition", .value = absl::StrCat(partition.value())});
}

absl::Span<const PartitionLoad> GrpcProducer::Loads(const Topic& topic) {
  loads_.clear();
  for (size_t i = 0; i < topic.partitions.size(); ++i) {
    const ProducerPartition* partition = topic.partitions[i];
    loads_.push_back(
        {.batches = partition == nullptr ? 0 : partition->batches.load(std::memory_order_relaxed),
         .available = topic.available[i]});
  }
  return loads_;
}

ProducerPartition* GrpcProducer::PartitionAt(Topic* topic, PartitionIndex index) {
  ProducerPartition*& partition = topic->partitions[static_cast<size_t>(index.value())];
  if (partition != nullptr) return partition;
  std::unique_ptr<ProducerPartition>& known = partitions_[{topic->id, index}];
  if (known == nullptr) {
    known = std::make_unique<ProducerPartition>(topic->name, topic->id, index, compression_);
    executor_.Post([this, added = known.get()] { strand_.AddPartition(added); });
  }
  return partition = known.get();
}

absl::Status GrpcProducer::CheckSize(const Topic& topic, size_t bytes_max) const {
  const size_t batch_bytes = record::kBatchHeaderSize + bytes_max;
  const auto too_large = [&](size_t bytes, absl::string_view of_what, absl::string_view key,
                             int64_t limit) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat("a record for topic '", topic.name, "' takes ", bytes, " bytes",
                                  of_what, ", which exceeds ", key, " (", limit, ")"),
                     {.name = std::string(key), .value = absl::StrCat(bytes)});
  };
  if (batch_bytes > static_cast<size_t>(config_.max_request_size)) {
    return too_large(batch_bytes, " with the header of its batch", "max.request.size",
                     config_.max_request_size);
  }
  if (bytes_max > static_cast<size_t>(config_.buffer_memory)) {
    return too_large(bytes_max, "", "buffer.memory", config_.buffer_memory);
  }
  return absl::OkStatus();
}

template <class Condition>
bool GrpcProducer::AwaitFall(MonotonicTime deadline, Condition reached) {
  shared_.waiting.store(true);
  bool now_true = reached();
  while (!now_true) {
    const bool signalled = shared_.fell.WaitFor(deadline - clock_.Now());
    now_true = reached();
    if (!signalled && clock_.Now() >= deadline) break;
  }
  shared_.waiting.store(false);
  return now_true;
}

absl::Status GrpcProducer::ReserveMemory(int64_t bytes, MonotonicTime deadline) {
  const auto fits = [&] { return shared_.memory.load() + bytes <= config_.buffer_memory; };
  if (!fits()) {
    // What lingers would keep its memory for as long.
    executor_.Post([this] { strand_.SetFlushing(true); });
    const bool freed = AwaitFall(deadline, fits);
    executor_.Post([this] { strand_.SetFlushing(false); });
    if (!freed) {
      return MakeError(
          ErrorCode::kResourceExhausted,
          absl::StrCat("buffer.memory (", config_.buffer_memory, " bytes) is still full after ",
                       "max.block.ms (", config_.max_block_ms,
                       "): the brokers take records more slowly than they come"),
          {.name = "buffer.memory", .value = absl::StrCat(config_.buffer_memory)});
    }
  }
  shared_.memory.fetch_add(bytes);
  return absl::OkStatus();
}

absl::Status GrpcProducer::Flush(absl::Duration timeout) {
  if (closed_) return absl::OkStatus();
  const auto done = [&] { return shared_.records.load() == 0; };
  if (done()) return absl::OkStatus();
  executor_.Post([this] { strand_.SetFlushing(true); });
  const bool flushed = AwaitFall(clock_.Now() + timeout, done);
  executor_.Post([this] { strand_.SetFlushing(false); });
  if (flushed) return absl::OkStatus();
  return MakeError(ErrorCode::kRequestTimedOut,
                   absl::StrCat(shared_.records.load(), " records are not acknowledged after ",
                                absl::FormatDuration(timeout)));
}

absl::Status GrpcProducer::Close(absl::Duration timeout) {
  if (closed_) return absl::OkStatus();
  const absl::Status flushed = Flush(timeout);
  closed_ = true;
  if (!flushed.ok()) {
    executor_.Post([this] {
      strand_.FailAll(MakeError(ErrorCode::kCancelled,
                                "the producer was closed before the record was acknowledged"));
    });
    // The strand only has to run the callbacks, which must not block.
    AwaitFall(MonotonicTime::Never(), [&] { return shared_.records.load() == 0; });
  }
  executor_.Shutdown();
  return flushed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Producer>> Producer::Create(const ConfigValues& values,
                                                           CustomPartitioner partitioner) {
  ASSIGN_OR_RETURN(ProducerConfig config, ProducerSchema().Parse(values));
  RETURN_IF_ERROR(CheckBootstrapServers(config.bootstrap_servers));
  RETURN_IF_ERROR(SettleIdempotence(values, &config));
  ASSIGN_OR_RETURN(const record::Compression compression,
                   record::ParseCompression(config.compression_type));
  ASSIGN_OR_RETURN(auto credentials, MakeCredentials({.protocol = config.security_protocol,
                                                      .truststore = config.ssl_truststore_location,
                                                      .keystore = config.ssl_keystore_location}));
  return std::make_unique<GrpcProducer>(std::move(config), compression, std::move(partitioner),
                                        std::move(credentials));
}

}  // namespace millrace::client
