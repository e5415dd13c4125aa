#include "test/sim/cluster_admin.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/commands.h"
#include "millrace/v1/admin_service.pb.h"
#include "test/sim/cluster_commands.h"

namespace millrace::sim {
namespace {

constexpr int kTopicsMax = 3;
constexpr int kPartitionsMax = 4;
constexpr char kUncleanElection[] = "unclean.leader.election.enable";
// So long may it take until those that have all that was acknowledged are back.
constexpr absl::Duration kAwaitLeaders = absl::Seconds(15);

}  // namespace

int ClusterAdmin::AnyController() {
  return 1 +
         static_cast<int>(world_.random.Below(static_cast<uint64_t>(world_.options.controllers)));
}

std::string ClusterAdmin::FreeName() const {
  for (int i = 0;; ++i) {
    const std::string name = absl::StrCat("topic-", i);
    const bool taken = std::any_of(world_.topics.begin(), world_.topics.end(),
                                   [&](const auto& topic) { return topic->name == name; });
    if (!taken) return name;
  }
}

void ClusterAdmin::CreateTopic() {
  if (creating_ || world_.topics.size() >= kTopicsMax) return;
  creating_ = true;
  SimRandom& random = world_.random;
  auto topic = std::make_shared<ClusterTopic>();
  topic->name = FreeName();
  topic->partitions = 1 + static_cast<int>(random.Below(3));
  topic->durable = world_.topics.empty() || !OneIn(random, 3);
  if (world_.options.elections && topic->durable && !world_.topics.empty()) {
    topic->unclean = true;
    topic->name = absl::StrCat("set-aside-", set_aside_++);
  }
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* wanted = request.add_topics();
  wanted->set_name(topic->name);
  wanted->set_partitions(topic->partitions);
  wanted->set_replication_factor(3);
  std::map<std::string, std::string> configs = {
      {"durability", topic->durable ? "durable" : "replicated"},
      {"min.insync.replicas", "2"},
      {"segment.bytes", "1048576"},
      {"retention.ms", "-1"}};
  if (topic->unclean && OneIn(random, 2)) configs[kUncleanElection] = "true";
  if (OneIn(random, 2)) configs["segment.ms"] = absl::StrCat(500 + random.Below(3000));
  for (const auto& [name, value] : configs) {
    v1::ConfigEntry* entry = wanted->add_configs();
    entry->set_name(name);
    entry->set_value(value);
  }
  using Answer = absl::StatusOr<v1::CreateTopicsResponse>;
  world_.Ask<Answer>(
      AnyController(), absl::Seconds(10),
      [request](SimServer& server, std::function<void(Answer)> reply) {
        server.node().CreateTopics(
            request, [reply](Answer response, LogIndex) { reply(std::move(response)); });
      },
      [this, topic](absl::StatusOr<Answer> answer) {
        creating_ = false;
        if (!answer.ok()) return world_.Reached("create-unanswered");
        const Answer& response = *answer;
        const ErrorCode code = response.ok() ? static_cast<ErrorCode>(response->topics(0).code())
                                             : CodeOf(response.status());
        if (code == ErrorCode::kNone) {
          topic->id = TopicId::FromBytes(response->topics(0).topic_id()).value();
          world_.topics.push_back(topic);
          if (!topic->durable) began_replicated_.insert(topic->id);
          return world_.Reached("topic-created");
        }
        world_.Reached(absl::StrCat("create-", ErrorCodeName(code)));
        // One whose answer was lost: its outcome is learned by asking.
        if (code == ErrorCode::kTopicAlreadyExists) {
          world_.Reached("topic-was-there");
        }
      });
}

void ClusterAdmin::AddPartition() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr || topic->partitions >= kPartitionsMax) return;
  const int wanted = topic->partitions + 1;
  v1::CreatePartitionsRequest request;
  request.add_topics()->set_name(topic->name);
  request.mutable_topics(0)->set_total_count(wanted);
  using Answer = absl::StatusOr<v1::CreatePartitionsResponse>;
  world_.Ask<Answer>(
      AnyController(), absl::Seconds(5),
      [request](SimServer& server, std::function<void(Answer)> reply) {
        server.node().CreatePartitions(
            request, [reply](Answer response, LogIndex) { reply(std::move(response)); });
      },
      [this, topic, wanted](const absl::StatusOr<Answer>& answer) {
        if (!answer.ok() || !answer->ok()) return world_.Reached("grow-unanswered");
        const auto code = static_cast<ErrorCode>((*answer)->topics(0).code());
        if (code != ErrorCode::kNone) {
          return world_.Reached(absl::StrCat("grow-", ErrorCodeName(code)));
        }
        topic->partitions = std::max(topic->partitions, wanted);
        world_.Reached("partition-added");
      });
}

void ClusterAdmin::DeleteTopic() {
  if (world_.topics.size() < 2) return;
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  // What is altered by name must not be another one's.
  if (topic->altering) return;
  std::erase(world_.topics, topic);
  world_.deleted.push_back(topic);
  AskToDelete(topic);
}

void ClusterAdmin::AskToDelete(const std::shared_ptr<ClusterTopic>& topic) {
  v1::DeleteTopicsRequest request;
  request.add_topic_ids(topic->id.ToBytes());
  AskController<v1::DeleteTopicsResponse>(
      &world_, AnyController(), absl::Seconds(5), request,
      [this, topic](const absl::StatusOr<v1::DeleteTopicsResponse>& answer) {
        if (answer.ok()) {
          const auto code = static_cast<ErrorCode>(answer->topics(0).code());
          // One whose answer was lost has been deleted before.
          if (code == ErrorCode::kNone || code == ErrorCode::kUnknownTopicId) {
            return world_.Reached("topic-deleted");
          }
        }
        const absl::Duration pause =
            Between(world_.random, absl::Milliseconds(50), absl::Milliseconds(500));
        world_.clients->PostAt(world_.loop.now() + pause, [this, topic] { AskToDelete(topic); });
      });
}

void ClusterAdmin::AlterMinIsr() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  // What one replica alone acknowledged is lost with its disk, rightly.
  const ClusterOptions& options = world_.options;
  const bool disks_stay = !options.wipes && !options.restores && !options.disk_errors &&
                          !options.power_losses && !options.full_disks;
  const uint64_t least = disks_stay ? 1 : 2;
  const std::string value = absl::StrCat(least + world_.random.Below(4 - least));
  Alter(*topic, "min.insync.replicas", value, [this, value](std::optional<ErrorCode> code) {
    if (code == ErrorCode::kNone) world_.Reached(absl::StrCat("min-isr-", value));
  });
}

void ClusterAdmin::AlterDurability() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr || topic->altering || !began_replicated_.contains(topic->id)) return;
  const bool raise = !topic->durable;
  // Without an answer it may take effect at any time, so that nothing more is known of this topic.
  topic->altering = true;
  topic->durable = false;
  Alter(*topic, "durability", raise ? "durable" : "replicated",
        [this, topic, raise](std::optional<ErrorCode> code) {
          if (!code) return;
          if (code != ErrorCode::kNone) {
            topic->altering = false;
            topic->durable = !raise;
            return;
          }
          world_.Reached(raise ? "durability-raised" : "durability-lowered");
          if (raise) return AwaitRaised(topic);
          topic->altering = false;
        });
}

void ClusterAdmin::AwaitRaised(const std::shared_ptr<ClusterTopic>& topic) {
  v1::DescribeTopicsRequest request;
  request.add_topic_ids(topic->id.ToBytes());
  AskController<v1::DescribeTopicsResponse>(
      &world_, AnyController(), absl::Seconds(5), request,
      [this, topic](const absl::StatusOr<v1::DescribeTopicsResponse>& answer) {
        if (answer.ok()) {
          const v1::TopicDescription& now = answer->topics(0);
          if (now.code() != 0) return;  // Deleted.
          if (std::none_of(now.partitions().begin(), now.partitions().end(),
                           [](const auto& partition) { return partition.raising_durability(); })) {
            topic->altering = false;
            topic->durable = true;
            return world_.Reached("durability-reached");
          }
        }
        const absl::Duration pause =
            Between(world_.random, absl::Milliseconds(20), absl::Milliseconds(200));
        world_.clients->PostAt(world_.loop.now() + pause, [this, topic] { AwaitRaised(topic); });
      });
}

void ClusterAdmin::Alter(const ClusterTopic& topic, const std::string& name,
                         const std::string& value,
                         std::function<void(std::optional<ErrorCode>)> done) {
  v1::IncrementalAlterConfigsRequest request;
  v1::AlterConfigsResource* resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(topic.name);
  v1::ConfigAlteration* alteration = resource->add_alterations();
  alteration->set_name(name);
  alteration->set_operation(v1::CONFIG_OPERATION_SET);
  alteration->set_value(value);
  AskController<v1::IncrementalAlterConfigsResponse>(
      &world_, AnyController(), absl::Seconds(5), request,
      [this,
       done = std::move(done)](const absl::StatusOr<v1::IncrementalAlterConfigsResponse>& answer) {
        const bool refused = CodeOf(answer.status()) == ErrorCode::kNotController;
        if (!answer.ok() && !refused) {
          world_.Reached("alter-unanswered");
          return done(std::nullopt);
        }
        const ErrorCode code = refused ? ErrorCode::kNotController
                                       : static_cast<ErrorCode>(answer->resources(0).code());
        if (code != ErrorCode::kNone) world_.Reached(absl::StrCat("alter-", ErrorCodeName(code)));
        done(code);
      });
}

void ClusterAdmin::Reassign() {
  const auto topic = world_.AnyTopic();
  if (topic == nullptr) return;
  SimRandom& random = world_.random;
  controller::AlterReassignmentsCommand command;
  v1::PartitionReassignment* wanted = command.request.add_reassignments();
  wanted->set_topic(topic->name);
  wanted->set_partition(world_.AnyPartition(*topic).partition.value());
  command.placement_seed = random.Next();
  // Those that come first in an order of its own; none, to take it back.
  std::vector<int> brokers = world_.broker_hosts();
  for (size_t i = brokers.size(); i > 1; --i) std::swap(brokers[i - 1], brokers[random.Below(i)]);
  const size_t count = OneIn(random, 5) ? 0 : 2 + random.Below(2);
  for (size_t i = 0; i < count; ++i) wanted->add_replicas(brokers[i]);
  if (OneIn(random, 2)) {
    wanted->set_throttle_bytes_per_s(20'000 + static_cast<int64_t>(random.Below(200'000)));
  }
  AskController<v1::AlterPartitionReassignmentsResponse>(
      &world_, AnyController(), absl::Seconds(2), command,
      [this, count](const absl::StatusOr<v1::AlterPartitionReassignmentsResponse>& answer) {
        if (!answer.ok()) return world_.Reached("reassign-unanswered");
        const v1::PartitionReassignmentResult& result = answer->results(0);
        const bool refused = result.code() != v1::ERROR_CODE_UNSPECIFIED;
        world_.Reached(refused             ? absl::StrCat("reassign-",
                                                          ErrorCodeName(static_cast<ErrorCode>(result.code())))
                       : !result.changed() ? "reassign-unchanged"
                       : count == 0        ? "reassign-taken-back"
                                           : "reassign-begun");
      });
}

void ClusterAdmin::Elect() {
  const auto topic = world_.AnyTopic();
  if (topic == nullptr) return;
  for (const auto& other : world_.topics) {
    if (other->unclean && !OneIn(world_.random, 4) && HasNoLeader(*other)) {
      return ElectAnyhow(*other);
    }
  }
  if (!topic->unclean || OneIn(world_.random, 2)) return ElectPreferred();
  AlterUncleanElection(*topic);
}

// As whoever asks for such an election has seen before.
bool ClusterAdmin::HasNoLeader(const ClusterTopic& topic) {
  const metadata::Image* const image = world_.committed_image();
  for (int i = 0; image != nullptr && i < topic.partitions; ++i) {
    const metadata::PartitionImage* const partition = image->FindPartition(topic.Partition(i));
    if (partition != nullptr && partition->leader == kNoNode) return true;
  }
  return false;
}

void ClusterAdmin::ElectPreferred() {
  v1::ElectLeadersRequest request;
  request.set_type(v1::ELECTION_TYPE_PREFERRED);
  // Else all partitions of all topics.
  const auto topic = world_.AnyTopic();
  if (!OneIn(world_.random, 4)) request.add_topics()->set_name(topic->name);
  AskToElect(request);
}

void ClusterAdmin::ElectAnyhow(const ClusterTopic& topic) {
  v1::ElectLeadersRequest request;
  request.set_type(v1::ELECTION_TYPE_UNCLEAN);
  request.add_topics()->set_name(topic.name);
  AskToElect(request);
}

void ClusterAdmin::AskToElect(const v1::ElectLeadersRequest& request) {
  AskController<v1::ElectLeadersResponse>(
      &world_, world_.LikelyController(), absl::Seconds(2), request,
      [this, type = request.type()](const absl::StatusOr<v1::ElectLeadersResponse>& answer) {
        if (!answer.ok()) return world_.Reached("elect-unanswered");
        for (const v1::ElectLeaderResult& result : answer->results()) OnElected(type, result);
      });
}

void ClusterAdmin::OnElected(v1::ElectionType type, const v1::ElectLeaderResult& result) {
  const auto code = static_cast<ErrorCode>(result.code());
  if (code != ErrorCode::kNone) {
    return world_.Reached(absl::StrCat("elect-", ErrorCodeName(code)));
  }
  if (type == v1::ELECTION_TYPE_PREFERRED && result.unclean()) {
    world_.Note(
        absl::InternalError(absl::StrCat("VIOLATION: the preferred leader of ", result.topic(), "-",
                                         result.partition(), " may lack what was acknowledged")));
  }
  if (!result.changed()) return;
  world_.Reached(type == v1::ELECTION_TYPE_PREFERRED ? "elect-preferred" : "elect-anyhow");
}

void ClusterAdmin::AlterUncleanElection(const ClusterTopic& topic) {
  Alter(topic, kUncleanElection, OneIn(world_.random, 3) ? "false" : "true",
        [this](std::optional<ErrorCode> code) {
          if (code == ErrorCode::kNone) world_.Reached("unclean-election-altered");
        });
}

void ClusterAdmin::ElectWhereNobodyLeads() {
  const bool first = next_election_ == MonotonicTime();
  if (!first && world_.loop.now() < next_election_) return;
  next_election_ = world_.loop.now() + kAwaitLeaders;
  for (const auto& topic : world_.topics) {
    if (topic->unclean && !first) ElectAnyhow(*topic);
  }
}

}  // namespace millrace::sim
