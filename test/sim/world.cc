#include "test/sim/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/wire_writer.h"
#include "base/check.h"
#include "base/status.h"
#include "record/batch_builder.h"
#include "record/record_reader.h"

namespace millrace::sim {
namespace {

constexpr int kTopicsMax = 4;
constexpr absl::Duration kClientPause = absl::Milliseconds(20);
constexpr absl::Duration kFaultPause = absl::Seconds(4);
constexpr absl::Duration kHealBound = absl::Seconds(60);

// Small segments and short checks, so that rolls, retention and checkpoints happen within seconds.
ConfigValues ServerConfig(SimRandom& random) {
  ConfigValues config = {{"log.dirs", "disk-a,disk-b"},
                         {"log.retention.check.interval.ms", "2000"},
                         {"log.flush.offset.checkpoint.interval.ms", "3000"},
                         {"log.dir.reserve.bytes", "65536"},
                         {"http.listener", ""}};
  config["num.shards"] = absl::StrCat(1 + random.Below(2));
  return config;
}

// Refused before anything was appended: the record must never be seen.
bool IsSureRefusal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kInvalidRecord:
    case ErrorCode::kMessageTooLarge:
    case ErrorCode::kStorageFull:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kWrongTopicChecksum:
      return true;
    default:
      return false;
  }
}

}  // namespace

World::World(const WorldOptions& options)
    : options_(options), random_(options.seed), loop_(options.seed) {
  clients_ = loop_.MakeExecutor("clients");
  server_ = std::make_unique<SimServer>(&loop_, random_.Fork("server"), ServerConfig(random_));
}

World::~World() {
  // Answers on their way refer to the world.
  clients_->Shutdown();
}

void World::Note(absl::Status status) {
  if (!status.ok() && violation_.ok()) violation_ = std::move(status);
}

void World::AfterDelay(Task then) {
  const absl::Duration delay = Between(random_, absl::Microseconds(50),
                                       absl::Microseconds(OneIn(random_, 50) ? 50000 : 800));
  clients_->PostAt(loop_.now() + delay, std::move(then));
}

void World::AtServer(std::function<void()> call, std::function<void()> refused) {
  AfterDelay([this, call = std::move(call), refused = std::move(refused)] {
    if (!server_->serving()) return refused();
    server_->shard().Post(call);
  });
}

void World::ScheduleClients() {
  if (!safety_phase_) return;
  clients_->PostAt(loop_.now() + Between(random_, absl::ZeroDuration(), kClientPause * 2), [this] {
    if (!server_->serving()) return ScheduleClients();
    const uint64_t dice = random_.Below(100);
    if (topics_.empty() || (dice < 2 && topics_.size() < kTopicsMax)) {
      CreateTopic();
    } else if (dice < 3) {
      DeleteTopic();
    } else if (dice < 5) {
      DeleteRecords();
    } else if (dice < 70) {
      Produce();
    } else {
      Fetch();
    }
    ScheduleClients();
  });
}

void World::CreateTopic() {
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* topic = request.add_topics();
  topic->set_name(absl::StrCat("topic-", random_.Below(1000000)));
  topic->set_partitions(1 + static_cast<int>(random_.Below(3)));
  const bool durable = !OneIn(random_, 4);
  const auto set = [&](const char* name, const std::string& value) {
    v1::ConfigEntry* entry = topic->add_configs();
    entry->set_name(name);
    entry->set_value(value);
  };
  set("durability", durable ? "durable" : "replicated");
  set("segment.bytes", "1048576");
  set("max.message.bytes", "1000000");
  const std::string name = topic->name();
  const int partitions = topic->partitions();
  AtServer(
      [this, request, name, partitions, durable] {
        server_->node().CreateTopics(request, [=, this](
                                                  absl::StatusOr<v1::CreateTopicsResponse> response,
                                                  LogIndex) {
          if (!response.ok()) {
            return Reached(absl::StrCat("create-", ErrorCodeName(CodeOf(response.status()))));
          }
          if (const auto code = response->topics(0).code(); code != v1::ERROR_CODE_UNSPECIFIED) {
            return Reached(absl::StrCat("create-", ErrorCodeName(static_cast<ErrorCode>(code))));
          }
          const TopicId id = TopicId::FromBytes(response->topics(0).topic_id()).value();
          AfterDelay([=, this] {
            topics_.push_back(
                {.name = name, .id = id, .partitions = partitions, .durable = durable});
            Reached("topic-created");
          });
        });
      },
      [] {});
}

void World::DeleteTopic() {
  if (topics_.size() < 2) return;
  Topic& topic = topics_[random_.Below(topics_.size())];
  if (topic.deleted) return;
  // From now on nothing is promised of it, whether the deletion is decided or not.
  topic.deleted = true;
  v1::DeleteTopicsRequest request;
  request.add_topic_ids(topic.id.ToBytes());
  AtServer(
      [this, request] {
        server_->node().Submit(request,
                               [this](absl::StatusOr<v1::DeleteTopicsResponse> response, LogIndex) {
                                 if (response.ok()) Reached("topic-deleted");
                               });
      },
      [] {});
}

void World::DeleteRecords() {
  const Topic& topic = topics_[random_.Below(topics_.size())];
  if (topic.deleted) return;
  const PartitionIndex partition(static_cast<int32_t>(random_.Below(topic.partitions)));
  const TopicPartition identity{topic.id, partition};
  api::DeleteRecordsRequest request;
  request.partitions.push_back({.name = {.topic_id = topic.id, .partition = partition},
                                .before_offset = Offset(static_cast<int64_t>(random_.Below(50)))});
  // It may take effect and its answer be lost: what is below is not promised from here on.
  history_.OnDeletedBefore(identity, request.partitions[0].before_offset);
  AtServer(
      [this, request] {
        server_->node().broker().DeleteRecords(request, broker::Caller(),
                                               [this](const api::DeleteRecordsResponse& response) {
                                                 if (response.partitions[0].outcome.ok())
                                                   Reached("records-deleted");
                                               });
      },
      [] {});
}

void World::Produce() {
  const Topic& topic = topics_[random_.Below(topics_.size())];
  if (topic.deleted) return;
  SendBatch(topic, PartitionIndex(static_cast<int32_t>(random_.Below(topic.partitions))));
}

void World::SendBatch(const Topic& topic, PartitionIndex partition) {
  const TopicPartition identity{topic.id, partition};
  record::BatchBuilder::Options batch_options;
  batch_options.compression = record::kAllCompressions[random_.Below(5)];
  record::BatchBuilder builder(batch_options);
  std::vector<std::string> values;
  const int count = 1 + static_cast<int>(random_.Below(5));
  for (int i = 0; i < count; ++i) {
    values.push_back(absl::StrCat("value-", next_value_++));
    // Some are large, so that segments roll; the filling compresses away in some of the codecs.
    if (OneIn(random_, 8)) values.back().append(random_.Below(60000), '.');
    history_.OnSent(identity, values.back());
    builder.Add(server_->clock().WallNow().ms, absl::nullopt, absl::string_view(values.back()));
  }
  api::ProduceRequest request;
  request.acks = api::Acks::kAll;
  request.timeout = absl::Seconds(10);
  request.partitions.push_back(
      {.name = {.topic_id = topic.id, .partition = partition}, .batches = builder.Build()});
  const Bytes message = api::Join(api::EncodeProduceRequest(request));
  report_.produced += count;
  AtServer(
      [this, message, identity, values] {
        absl::StatusOr<api::ProduceRequest> decoded = api::DecodeProduceRequest(message);
        if (!decoded.ok()) return Note(decoded.status());
        server_->node().broker().Produce(
            *std::move(decoded), broker::Caller(),
            [this, identity, values](const api::ProduceResponse& response) {
              const Bytes answer = api::Join(api::EncodeProduceResponse(response));
              AfterDelay([this, identity, values, answer] {
                absl::StatusOr<api::ProduceResponse> read = api::DecodeProduceResponse(answer);
                if (!read.ok()) return Note(read.status());
                OnProduced(identity, values, read->partitions.at(0));
              });
            });
      },
      [this, identity, values] {
        for (const std::string& value : values) history_.OnRefused(identity, value);
      });
}

void World::OnProduced(const TopicPartition& partition, const std::vector<std::string>& values,
                       const api::ProducePartitionResult& result) {
  if (!result.outcome.ok()) {
    Reached(absl::StrCat("produce-", ErrorCodeName(result.outcome.code)));
    if (!IsSureRefusal(result.outcome.code)) return;
    for (const std::string& value : values) history_.OnRefused(partition, value);
    return;
  }
  report_.acknowledged += static_cast<int64_t>(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    Note(history_.OnAcknowledged(partition, values[i],
                                 result.base_offset + static_cast<int64_t>(i)));
  }
}

void World::Fetch() {
  const Topic& topic = topics_[random_.Below(topics_.size())];
  if (topic.deleted) return;
  const TopicPartition identity{
      topic.id, PartitionIndex(static_cast<int32_t>(random_.Below(topic.partitions)))};
  api::FetchRequest request;
  request.format = api::RecordFormat::kBatches;
  request.max_wait = Between(random_, absl::ZeroDuration(), absl::Milliseconds(200));
  request.bytes_max = 1 << (8 + random_.Below(12));
  const Offset from(static_cast<int64_t>(random_.Below(200)));
  request.partitions.push_back(
      {.name = {.topic_id = topic.id, .partition = identity.partition}, .offset = from});
  const Bytes message = api::Join(api::EncodeFetchRequest(request));
  AtServer(
      [this, message, identity, from] {
        absl::StatusOr<api::FetchRequest> decoded = api::DecodeFetchRequest(message);
        if (!decoded.ok()) return Note(decoded.status());
        server_->node().broker().Fetch(
            *std::move(decoded), broker::Caller(),
            [this, identity, from](const api::FetchResponse& response) {
              const Bytes answer = api::Join(api::EncodeFetchResponse(response));
              AfterDelay([this, identity, from, answer] {
                absl::StatusOr<api::FetchResponse> read = api::DecodeFetchResponse(answer);
                if (!read.ok()) return Note(read.status());
                OnFetched(identity, from, read->partitions.at(0));
              });
            });
      },
      [] {});
}

namespace {

// The records of a fetch from `from` on, decoded as a consumer does.
absl::StatusOr<std::vector<std::pair<Offset, std::string>>> RecordsOf(
    const api::FetchPartitionResult& result, Offset from) {
  std::vector<std::pair<Offset, std::string>> records;
  for (const Bytes& piece : result.batches) {
    Slice rest = piece;
    while (!rest.empty()) {
      ASSIGN_OR_RETURN(const record::BatchView batch, record::BatchView::Parse(rest));
      RETURN_IF_ERROR(record::ForEachRecord(batch, {}, [&](const record::RecordView& record) {
        if (record.offset >= from) records.emplace_back(record.offset, std::string(*record.value));
        return absl::OkStatus();
      }));
      rest.remove_prefix(batch.size());
    }
  }
  return records;
}

}  // namespace

void World::OnFetched(const TopicPartition& partition, Offset from,
                      const api::FetchPartitionResult& result) {
  if (!result.outcome.ok()) {
    return Reached(absl::StrCat("fetch-", ErrorCodeName(result.outcome.code)));
  }
  const auto records = RecordsOf(result, from);
  if (!records.ok()) return Note(records.status());
  for (const auto& [offset, value] : *records) {
    if (offset >= result.high_watermark) {
      Note(absl::InternalError(absl::StrCat("VIOLATION: offset ", offset.value(),
                                            " was served beyond the high watermark ",
                                            result.high_watermark.value())));
    }
    Note(history_.CheckRead(partition, offset, value));
    ++report_.records_read;
  }
}

void World::ScheduleFaults() {
  clients_->PostAt(loop_.now() + Between(random_, absl::Milliseconds(200), kFaultPause), [this] {
    if (!safety_phase_) return;
    EnsureRunning();
    InjectFault();
    ScheduleFaults();
  });
}

// A process that refused to start, or whose metadata log has stopped, is replaced, as its
// supervisor would.
void World::EnsureRunning() {
  const bool refused = server_->started().has_value() && !server_->started()->ok();
  const bool stopped = server_->serving() && !server_->node().Healthy().ok();
  if (!refused && !stopped) return;
  Reached("restart-after-failure");
  server_->Kill();
  Restart();
}

void World::Restart() {
  clients_->PostAt(loop_.now() + Between(random_, absl::Milliseconds(1), absl::Milliseconds(300)),
                   [this] {
                     if (!server_->running()) server_->Start();
                   });
}

void World::InjectFault() {
  switch (random_.Below(7)) {
    case 0:
      if (!options_.kills) return;
      Reached("kill");
      server_->Kill();
      return Restart();
    case 1: {
      if (!options_.power_losses) return;
      const CrashMode modes[] = {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn};
      const CrashMode mode = modes[random_.Below(3)];
      Reached(absl::StrCat("power-loss-", static_cast<int>(mode)));
      for (const Topic& topic : topics_) {
        // A `replicated` topic promises the page cache only.
        for (int i = 0; !topic.durable && i < topic.partitions; ++i) {
          history_.OnMayHaveLost({topic.id, PartitionIndex(i)});
        }
      }
      server_->LosePower(mode);
      return Restart();
    }
    case 2:
      if (!options_.disk_errors) return;
      Reached("disk-error");
      return server_->disk().FailCallAt(server_->disk().calls() + 1 + random_.Below(400),
                                        SimFault::kIoError, OneIn(random_, 3));
    case 3:
      if (!options_.full_disks) return;
      Reached("full-disk");
      return server_->disk().SetCapacity(server_->disk().used_bytes() + random_.Below(200000));
    case 4:
      Reached("disk-healed");
      server_->disk().ClearFaults();
      return server_->disk().SetCapacity(uint64_t{1} << 40);
    case 5:
      if (!options_.clock_jumps) return;
      Reached("clock-jump");
      return server_->clock().JumpWall(Between(random_, -absl::Hours(30), absl::Hours(30)));
    default:
      return;
  }
}

absl::Status World::Run() {
  server_->Start();
  ScheduleClients();
  ScheduleFaults();
  const MonotonicTime end = loop_.now() + options_.duration;
  while (loop_.now() < end && violation_.ok()) {
    loop_.RunUntil(std::min(end, loop_.now() + absl::Milliseconds(100)));
  }
  safety_phase_ = false;
  if (violation_.ok()) Note(Heal());
  if (violation_.ok()) Note(ReadEverything());
  report_.trace_hash = loop_.trace_hash();
  report_.events = loop_.events_run();
  return violation_;
}

// Ends all faults and waits until a fresh process serves everything it should.
absl::Status World::Heal() {
  // Answers that are on their way belong to the history.
  loop_.RunFor(absl::Seconds(1));
  server_->disk().ClearFaults();
  server_->disk().SetCapacity(uint64_t{1} << 40);
  if (server_->running()) server_->Kill();
  server_->Start();
  const bool back = loop_.RunUntil(
      [this] {
        const bool refused = server_->started().has_value() && !server_->started()->ok();
        return refused || (server_->serving() && server_->node().Ready().ok());
      },
      kHealBound);
  if (back && server_->serving()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("LIVENESS: the server did not come back: ",
                   server_->started().has_value()
                       ? (server_->started()->ok() ? server_->node().Ready().ToString()
                                                   : server_->started()->ToString())
                       : "still starting"));
}

absl::Status World::ReadEverything() {
  for (const Topic& topic : topics_) {
    if (topic.deleted) continue;
    for (int i = 0; i < topic.partitions; ++i) {
      RETURN_IF_ERROR(ReadPartition(topic, PartitionIndex(i)));
    }
  }
  return absl::OkStatus();
}

absl::Status World::ReadPartition(const Topic& topic, PartitionIndex partition) {
  std::vector<std::pair<Offset, std::string>> records;
  Offset next(0);
  Offset start(0);
  for (;;) {
    api::FetchRequest request;
    request.format = api::RecordFormat::kBatches;
    request.partitions.push_back(
        {.name = {.topic_id = topic.id, .partition = partition}, .offset = next});
    std::optional<api::FetchPartitionResult> result;
    server_->shard().RunNow([&] {
      server_->node().broker().Fetch(request, broker::Caller(), [&](api::FetchResponse response) {
        result = std::move(response.partitions.at(0));
      });
    });
    if (!loop_.RunUntil([&] { return result.has_value(); }, absl::Seconds(30))) {
      return absl::InternalError(absl::StrCat("LIVENESS: a fetch of ", topic.name, " hangs"));
    }
    if (result->outcome.code == ErrorCode::kOffsetOutOfRange && next < result->log_start_offset) {
      next = start = result->log_start_offset;
      continue;
    }
    if (!result->outcome.ok()) {
      return absl::InternalError(absl::StrCat(
          "LIVENESS: reading ", topic.name, "-", partition.value(), " at ", next.value(), ": ",
          ErrorCodeName(result->outcome.code), " ", result->outcome.message));
    }
    ASSIGN_OR_RETURN(const auto more, RecordsOf(*result, next));
    if (more.empty()) break;
    records.insert(records.end(), more.begin(), more.end());
    next = more.back().first + 1;
  }
  return history_.CheckWhole({topic.id, partition}, start, records);
}

}  // namespace millrace::sim
