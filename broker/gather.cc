#include "broker/gather.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "broker/fetch_call.h"
#include "broker/near_replica.h"
#include "metadata/image.h"

namespace millrace::broker {
namespace {

// The answers of one call, until the last is in. Used on the edge only.
template <class Response>
struct Gathering {
  Response response;
  size_t left = 0;
  absl::AnyInvocable<void(Response) &&> done;

  void OneDone() {
    if (--left == 0) std::move(done)(std::move(response));
  }
};

// A gathering with a named, still empty result per partition; and one count for the caller, who
// gives it back with OneDone when all partitions have been asked.
template <class Response, class Request>
std::shared_ptr<Gathering<Response>> Begin(const Request& request,
                                           absl::AnyInvocable<void(Response) &&> done) {
  auto gathering = std::make_shared<Gathering<Response>>();
  gathering->response.partitions.resize(request.partitions.size());
  for (size_t i = 0; i < request.partitions.size(); ++i) {
    gathering->response.partitions[i].name = request.partitions[i].name;
  }
  gathering->left = request.partitions.size() + 1;
  gathering->done = std::move(done);
  return gathering;
}

// On the shard.
api::OffsetForLeaderEpochPartitionResult EndOfEpoch(
    Shard* shard, const TopicPartition& partition,
    const api::OffsetForLeaderEpochPartition& asked) {
  api::OffsetForLeaderEpochPartitionResult result;
  const absl::StatusOr<Replica*> replica = shard->Find(partition);
  const absl::StatusOr<storage::EpochEnd> end =
      replica.ok() ? (*replica)->EndOfEpoch(asked.current_leader_epoch, asked.leader_epoch)
                   : replica.status();
  if (end.ok()) {
    result.leader_epoch = end->epoch;
    // Nothing of that epoch or an earlier one: then where the later ones begin.
    result.end_offset =
        end->epoch == kNoLeaderEpoch ? (*replica)->log().log_start_offset() : end->end_offset;
  } else {
    result.outcome = api::PartitionOutcome::Of(end.status());
  }
  return result;
}

}  // namespace

Gather::Gather(int edge, std::vector<std::shared_ptr<Shard>> shards,
               const metadata::Authorizer* authorizer, const GatherOptions& options)
    : edge_(edge), shards_(std::move(shards)), authorizer_(authorizer), options_(options) {}

// --- Calls ---

void Gather::Produce(api::ProduceRequest request, const Caller& caller,
                     absl::AnyInvocable<void(api::ProduceResponse) &&> done) {
  auto gathering = Begin<api::ProduceResponse>(request, std::move(done));
  const MonotonicTime arrived = now();
  const MonotonicTime deadline = ProduceDeadline(request.timeout, arrived);
  for (size_t i = 0; i < request.partitions.size(); ++i) {
    api::ProducePartition& partition = request.partitions[i];
    api::ProducePartitionResult& result = gathering->response.partitions[i];
    const absl::StatusOr<TopicPartition> resolved =
        Resolve(partition.name, caller, metadata::Operation::kWrite);
    if (!resolved.ok()) {
      result.outcome = api::PartitionOutcome::Of(resolved.status());
      gathering->OneDone();
      continue;
    }
    result.name.topic_id = resolved->topic_id;
    ShardProduce produce;
    produce.topic_partition = *resolved;
    produce.event = {.batches = std::move(partition.batches),
                     .leader_epoch = partition.leader_epoch,
                     .topic_checksum = partition.topic_checksum,
                     .acks = request.acks,
                     .deadline = deadline,
                     .arrived = arrived};
    ProduceOne(std::move(produce), [this, gathering, i, caller](ProduceReply reply) {
      api::ProducePartitionResult& result = gathering->response.partitions[i];
      result.outcome = std::move(reply.outcome);
      result.base_offset = reply.base_offset;
      result.log_append_time_ms = reply.log_append_time_ms;
      result.log_start_offset = reply.log_start_offset;
      result.level = reply.level;
      FillHint(caller, &result.outcome);
      edge()->metrics().Stage(ProduceStage::kReply, now() - reply.answered);
      gathering->OneDone();
    });
  }
  gathering->OneDone();
}

void Gather::ProduceOne(ShardProduce produce, ShardProduceDone done) {
  const std::shared_ptr<Shard>& shard = ShardOf(produce.topic_partition);
  if (shard == edge()) return shard->Produce(std::move(produce), std::move(done));
  On(shard, [this, shard, produce = std::move(produce), done = std::move(done)]() mutable {
    shard->Produce(std::move(produce),
                   [this, shard, done = std::move(done)](ProduceReply reply) mutable {
                     Back(*shard, [done = std::move(done), reply = std::move(reply)]() mutable {
                       std::move(done)(std::move(reply));
                     });
                   });
  });
}

void Gather::Read(const std::shared_ptr<Shard>& shard, std::vector<ShardFetchItem> items,
                  FetchBudget budget, ShardFetchDone done) {
  On(shard, [this, shard, items = std::move(items), budget, done = std::move(done),
             asked = now()]() mutable {
    const MonotonicTime begun = shard->clock().Now();
    shard->metrics().Stage(FetchStage::kQueue, begun - asked);
    shard->Fetch(std::move(items), budget,
                 [this, shard, done = std::move(done), begun](std::vector<ShardFetchResult> results,
                                                              FetchBudget left) mutable {
                   const MonotonicTime read = shard->clock().Now();
                   shard->metrics().Stage(FetchStage::kRead, read - begun);
                   Back(*shard, [this, done = std::move(done), results = std::move(results), left,
                                 read]() mutable {
                     edge()->metrics().Stage(FetchStage::kReply, now() - read);
                     std::move(done)(std::move(results), left);
                   });
                 });
  });
}

std::weak_ptr<FetchCall> Gather::Fetch(api::FetchRequest request, const Caller& caller,
                                       absl::AnyInvocable<void(api::FetchResponse) &&> done) {
  auto call =
      std::make_shared<FetchCall>(this, std::move(request), caller, rotation_++, std::move(done));
  call->Start();
  return call;
}

// Asks the shard of each partition by `ask`(shard, partition, what of it is asked, result
// callback).
template <class Response, class Request, class Ask>
void Gather::AskEach(Request request, const Caller& caller, metadata::Operation operation,
                     absl::AnyInvocable<void(Response) &&> done, Ask ask) {
  auto gathering = Begin<Response>(request, std::move(done));
  for (size_t i = 0; i < request.partitions.size(); ++i) {
    auto& result = gathering->response.partitions[i];
    const absl::StatusOr<TopicPartition> resolved =
        Resolve(request.partitions[i].name, caller, operation);
    if (!resolved.ok()) {
      result.outcome = api::PartitionOutcome::Of(resolved.status());
      gathering->OneDone();
      continue;
    }
    result.name.topic_id = resolved->topic_id;
    using Result = std::decay_t<decltype(result)>;
    auto take = [this, gathering, i, caller](Result answer) {
      answer.name = std::move(gathering->response.partitions[i].name);
      FillHint(caller, &answer.outcome);
      gathering->response.partitions[i] = std::move(answer);
      gathering->OneDone();
    };
    const std::shared_ptr<Shard>& shard = ShardOf(*resolved);
    On(shard, [this, shard, resolved = *resolved, asked = std::move(request.partitions[i]), ask,
               take = std::move(take)]() mutable {
      // The shard may keep this for long, and must not keep itself by it.
      ask(shard.get(), resolved, asked,
          [this, weak = std::weak_ptr(shard), take = std::move(take)](Result answer) mutable {
            const std::shared_ptr<Shard> shard = weak.lock();
            if (shard == nullptr) return;
            Back(*shard, [take = std::move(take), answer = std::move(answer)]() mutable {
              take(std::move(answer));
            });
          });
    });
  }
  gathering->OneDone();
}

void Gather::ListOffsets(api::ListOffsetsRequest request, const Caller& caller,
                         absl::AnyInvocable<void(api::ListOffsetsResponse) &&> done) {
  AskEach<api::ListOffsetsResponse>(
      std::move(request), caller, metadata::Operation::kDescribe, std::move(done),
      [](Shard* shard, const TopicPartition& partition, const api::ListOffsetsPartition& asked,
         auto result) { shard->ListOffsets(partition, asked, std::move(result)); });
}

void Gather::DeleteRecords(api::DeleteRecordsRequest request, const Caller& caller,
                           absl::AnyInvocable<void(api::DeleteRecordsResponse) &&> done) {
  const MonotonicTime deadline = ProduceDeadline(request.timeout, now());
  AskEach<api::DeleteRecordsResponse>(
      std::move(request), caller, metadata::Operation::kDelete, std::move(done),
      [deadline](Shard* shard, const TopicPartition& partition,
                 const api::DeleteRecordsPartition& asked, auto result) {
        shard->DeleteRecords(partition, asked.before_offset, deadline, std::move(result));
      });
}

void Gather::OffsetForLeaderEpoch(
    api::OffsetForLeaderEpochRequest request, const Caller& caller,
    absl::AnyInvocable<void(api::OffsetForLeaderEpochResponse) &&> done) {
  AskEach<api::OffsetForLeaderEpochResponse>(
      std::move(request), caller, metadata::Operation::kDescribe, std::move(done),
      [](Shard* shard, const TopicPartition& partition,
         const api::OffsetForLeaderEpochPartition& asked,
         auto result) { result(EndOfEpoch(shard, partition, asked)); });
}

// --- What all calls need ---

absl::StatusOr<TopicPartition> Gather::Resolve(const api::PartitionName& name, const Caller& caller,
                                               metadata::Operation operation) const {
  const std::shared_ptr<const metadata::Image>& image = edge()->image();
  if (image == nullptr) {
    return MakeError(ErrorCode::kBrokerNotAvailable, "the broker is starting; try again");
  }
  const bool by_id = !name.topic_id.is_zero();
  const metadata::TopicImage* topic =
      by_id ? image->FindTopic(name.topic_id) : image->FindTopic(name.topic);
  // By name, whether it exists or not: who may not see a topic learns nothing of it.
  const std::string& asked = topic == nullptr ? name.topic : topic->name;
  if (authorizer_ != nullptr &&
      !authorizer_->Allows(caller.principal, operation, {metadata::ResourceType::kTopic, asked})) {
    return MakeError(ErrorCode::kAuthorizationFailed,
                     absl::StrCat(caller.principal.name, " may not do this with topic '", asked,
                                  "'; ask for the right to"),
                     {.name = "topic", .value = asked});
  }
  if (topic == nullptr && by_id) {
    return MakeError(ErrorCode::kUnknownTopicId,
                     "no topic has this id; it may have been deleted, and made again under another",
                     {.name = "topic_id", .value = name.topic_id.ToString()});
  }
  if (topic == nullptr) {
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat("there is no topic '", name.topic, "'; create it first"),
                     {.name = "topic", .value = name.topic});
  }
  if (by_id && !name.topic.empty() && name.topic != topic->name) {
    return MakeError(ErrorCode::kUnknownTopicId,
                     absl::StrCat("the topic with this id is called '", topic->name, "', not '",
                                  name.topic, "'; name it by one of both"),
                     {.name = "topic_id", .value = name.topic_id.ToString()});
  }
  if (topic->FindPartition(name.partition) == nullptr) {
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat("topic '", topic->name, "' has ", topic->partition_count(),
                                  " partitions, from 0; there is no ", name.partition.value()),
                     {.name = "partition", .value = absl::StrCat(name.partition.value())});
  }
  return TopicPartition{topic->id, name.partition};
}

const std::shared_ptr<Shard>& Gather::ShardOf(const TopicPartition& topic_partition) const {
  return shards_[ShardIndexOf(topic_partition, static_cast<int>(shards_.size()))];
}

void Gather::On(const std::shared_ptr<Shard>& shard, Task task) const {
  if (shard == edge()) return std::move(task)();
  shard->executor()->Post(std::move(task));
}

void Gather::Back(const Shard& shard, Task task) const {
  if (&shard == edge().get()) return std::move(task)();
  edge()->executor()->Post(std::move(task));
}

void Gather::FillHint(const Caller& caller, api::PartitionOutcome* outcome) const {
  if (!outcome->leader || outcome->leader->leader == kNoNode) return;
  const metadata::BrokerImage* leader =
      edge()->image() == nullptr ? nullptr : edge()->image()->FindBroker(outcome->leader->leader);
  const metadata::Listener* listener =
      leader == nullptr ? nullptr : leader->FindListener(caller.listener);
  if (listener != nullptr) outcome->leader->address = listener->address();
}

bool Gather::IsNearby(absl::string_view rack) const {
  const std::shared_ptr<const metadata::Image>& image = edge()->image();
  return options_.reads_by_rack && image != nullptr && IsInRack(*image, options_.self, rack);
}

std::optional<NodeId> Gather::NearReplica(const TopicPartition& topic_partition,
                                          absl::string_view rack) const {
  const std::shared_ptr<const metadata::Image>& image = edge()->image();
  if (!options_.reads_by_rack || image == nullptr) return std::nullopt;
  return NearReplicaOf(*image, topic_partition, options_.self, rack);
}

MonotonicTime Gather::ProduceDeadline(absl::Duration timeout, MonotonicTime arrived) const {
  if (timeout <= absl::ZeroDuration()) timeout = api::kDefaultProduceTimeout;
  return arrived + std::min(timeout, options_.produce_timeout_max);
}

ParkId Gather::NewParkId() {
  // The edge in the low bits: no two edges ever give the same.
  return ParkId(++next_park_ * shards_.size() + static_cast<uint64_t>(edge_));
}

}  // namespace millrace::broker
