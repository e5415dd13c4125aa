#include "test/sim/cluster_calls.h"

#include "absl/strings/str_cat.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/wire_writer.h"
#include "base/check.h"
#include "base/status.h"
#include "node/node.h"
#include "test/sim/client_records.h"

namespace millrace::sim {
namespace {

constexpr char kListener[] = "PLAINTEXT";

// The one partition's answer as it comes out at the other side of the wire: nothing of the process
// that sent it is left in it.
api::FetchPartitionResult Wired(const api::FetchResponse& response) {
  absl::StatusOr<api::FetchResponse> read =
      api::DecodeFetchResponse(api::Join(api::EncodeFetchResponse(response)));
  CHECK_OK(read);
  return std::move(read->partitions.at(0));
}

// So often is a batch sent again that is told to be out of order: for longer than a cut lasts; and
// when all faults are over.
constexpr int kOutOfOrderMax = 300;
constexpr int kOutOfOrderHealedMax = 100;

// What no well-behaved producer is ever told of a batch that it sends again. (A leader that was cut
// off may find its sequences out of order; the one that leads must not: it would never take them.)
bool IsWrong(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kUnknownProducerId:
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kInvalidRecord:
    case ErrorCode::kMessageTooLarge:
      return true;
    default:
      return false;
  }
}

}  // namespace

// ---- Calls ----

broker::Caller ClusterCalls::AsClient() {
  return {.listener = kListener, .principal = {}, .forwarded = false};
}

void ClusterCalls::AtBroker(SimServer& server, uint64_t shard,
                            std::function<void(broker::Broker&)> call) {
  if (!server.serving()) return;
  server.shard(shard).Post([broker = &server.node().broker(), call] { call(*broker); });
}

void ClusterCalls::Produce(int host, const api::ProduceRequest& request, absl::Duration timeout,
                           Done<api::ProducePartitionResult> done) {
  world_.Ask<api::ProducePartitionResult>(
      host, timeout,
      [request, shard = world_.random.Next()](
          SimServer& server, std::function<void(api::ProducePartitionResult)> reply) {
        AtBroker(server, shard, [request, reply](broker::Broker& broker) {
          broker.Produce(request, AsClient(), [reply](api::ProduceResponse response) {
            reply(std::move(response.partitions.at(0)));
          });
        });
      },
      std::move(done));
}

void ClusterCalls::Fetch(int host, const api::FetchRequest& request, absl::Duration timeout,
                         Done<api::FetchPartitionResult> done) {
  world_.Ask<api::FetchPartitionResult>(
      host, timeout,
      [request, shard = world_.random.Next()](
          SimServer& server, std::function<void(api::FetchPartitionResult)> reply) {
        AtBroker(server, shard, [request, reply](broker::Broker& broker) {
          broker.Fetch(request, AsClient(),
                       [reply](const api::FetchResponse& response) { reply(Wired(response)); });
        });
      },
      std::move(done));
}

void ClusterCalls::InitProducerId(std::function<void(std::optional<api::ProducerIdentity>)> done) {
  using Answer = absl::StatusOr<api::ProducerIdentity>;
  world_.Ask<Answer>(
      world_.any(world_.broker_hosts()), absl::Seconds(5),
      [](SimServer& server, std::function<void(Answer)> reply) {
        AtBroker(server, 0, [reply](broker::Broker& broker) { broker.InitProducerId(reply); });
      },
      [this, done](absl::StatusOr<Answer> answer) {
        if (!answer.ok() || !answer->ok()) {
          world_.Reached("no-producer-id");
          return done(std::nullopt);
        }
        if (!ids_.insert((*answer)->id).second) {
          world_.Note(absl::InternalError(
              absl::StrCat("VIOLATION: producer id ", (*answer)->id.value(), " was given twice")));
        }
        done(**answer);
      });
}

bool ClusterCalls::MaySendAgain(const TopicPartition& partition, ProducerId producer,
                                int32_t sequence, ErrorCode code, const std::string& message,
                                int* out_of_order) {
  const bool unknown =
      code == ErrorCode::kUnknownTopicId || code == ErrorCode::kUnknownTopicOrPartition;
  if (unknown && world_.IsDeleted(partition.topic_id)) {
    world_.Reached("batch-of-a-deleted-topic");
    return false;
  }
  const bool may_be_lost = world_.history.may_have_lost(partition);
  if (IsWrong(code) && !may_be_lost) {
    world_.Note(absl::InternalError(absl::StrCat(
        "VIOLATION: ", world_.NameOf(partition), ": a batch of producer ", producer.value(),
        " at sequence ", sequence, " is refused as ", ErrorCodeName(code), ": ", message)));
    return true;
  }
  // What it follows on is lost, unless it was a leader that is cut off that said so.
  if (code == ErrorCode::kOutOfOrderSequenceNumber) ++*out_of_order;
  const int most = world_.safety_phase ? kOutOfOrderMax : kOutOfOrderHealedMax;
  if (!IsWrong(code) && (*out_of_order <= most || !may_be_lost)) return true;
  world_.Reached("sequence-lost");
  world_.sequences_lost.insert(partition);
  return false;
}

bool ClusterCalls::IsThere(const TopicPartition& partition, ErrorCode code) {
  if (code != ErrorCode::kDuplicateSequenceNumber) return false;
  if (world_.history.deleted_before(partition) == Offset(0)) return false;
  world_.Reached("duplicate-of-what-was-deleted");
  return true;
}

// ---- Records ----

SimBatch ClusterCalls::Build(const TopicPartition& partition, History::Lane lane,
                             const api::ProducerIdentity& identity, int32_t sequence) {
  SimBatch batch = BuildSimBatch(&world_.history, &world_.random, partition, lane,
                                 SimClock::kWallOrigin + world_.loop.now().nanos() / 1'000'000,
                                 identity, sequence);
  world_.report.produced += static_cast<int64_t>(batch.numbers.size());
  return batch;
}

void ClusterCalls::OnAcknowledged(const SimBatch& batch, Offset base) {
  world_.report.acknowledged += static_cast<int64_t>(batch.numbers.size());
  for (size_t i = 0; i < batch.numbers.size(); ++i) {
    world_.Note(world_.history.OnAcknowledged(batch.numbers[i], base + static_cast<int64_t>(i)));
  }
}

// ---- Leaders ----

int ClusterCalls::LeaderOf(const TopicPartition& partition) {
  const auto known = leaders_.find(partition);
  if (known != leaders_.end() && !OneIn(world_.random, 40)) return known->second.leader.value();
  return world_.any(world_.broker_hosts());
}

std::optional<LeaderHint> ClusterCalls::KnownLeader(const TopicPartition& partition) const {
  const auto known = leaders_.find(partition);
  return known == leaders_.end() ? std::nullopt : std::optional(known->second);
}

void ClusterCalls::Learn(const TopicPartition& partition, const api::PartitionOutcome& outcome) {
  if (!outcome.ok()) leaders_.erase(partition);
  if (!outcome.leader || outcome.leader->leader == kNoNode) return;
  leaders_[partition] = *outcome.leader;
  OnLeader(partition, outcome.leader->leader_epoch, outcome.leader->leader);
}

void ClusterCalls::OnLeader(const TopicPartition& partition, LeaderEpoch epoch, NodeId leader) {
  if (leader == kNoNode || epoch == kNoLeaderEpoch) return;
  const auto [seen, first] = led_by_.emplace(std::pair(partition, epoch), leader);
  if (seen->second == leader) return;
  world_.Note(absl::InternalError(absl::StrCat("VIOLATION: partition ", partition.partition.value(),
                                               " in leader epoch ", epoch.value(), " is led by ",
                                               leader.value(), " and by ", seen->second.value())));
}

// ---- Reads ----

absl::StatusOr<std::vector<ReadRecord>> ClusterCalls::CheckedRead(
    const TopicPartition& partition, Offset from, const api::FetchPartitionResult& result) {
  ASSIGN_OR_RETURN(std::vector<ReadRecord> records,
                   CheckedRecordsOf(&world_.history, partition, result, from));
  // Answers overtake each other, and a leader that was deposed knows less.
  RETURN_IF_ERROR(world_.history.OnHighWatermark(partition, Offset(0), result.high_watermark));
  if (!records.empty() && records.front().offset != from &&
      !world_.history.may_have_lost(partition)) {
    return absl::InternalError(absl::StrCat("VIOLATION: ", world_.NameOf(partition),
                                            ": a read at offset ", from.value(), " begins at ",
                                            records.front().offset.value()));
  }
  world_.report.records_read += static_cast<int64_t>(records.size());
  return records;
}

// Who leads in an epoch has all that was committed in it and before (S-38).
Offset ClusterCalls::AfterOutOfRange(const TopicPartition& partition, int host,
                                     std::optional<LeaderEpoch> epoch, Offset next,
                                     LeaderEpoch read_in) {
  const Offset deleted = world_.history.deleted_before(partition);
  if (next < deleted) {
    world_.Reached("reader-behind-what-was-deleted");
    return deleted;
  }
  if (!epoch || *epoch < read_in || world_.history.may_have_lost(partition)) return next;
  world_.Note(absl::InternalError(absl::StrCat(
      "VIOLATION S-38: ", world_.NameOf(partition), ": broker ", host, " in leader epoch ",
      epoch->value(), " says that offset ", next.value(),
      " is out of range, and what is before it was read, in epoch ", read_in.value())));
  return next;
}

}  // namespace millrace::sim
