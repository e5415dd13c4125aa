#include "test/sim/admin_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_code.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr int kTopicsMax = 5;
constexpr int kPartitionsMax = 5;

}  // namespace

absl::Status AdminClient::Violation(const SimTopic& topic, const std::string& what) const {
  return absl::InternalError(
      absl::StrCat("VIOLATION: topic ", topic.name, " (", topic.id.ToString(), "): ", what));
}

void AdminClient::CreateTopic() {
  SimRandom& random = world_.random;
  std::vector<std::string> free_names;
  int live = 0;
  for (const auto& topic : world_.topics) {
    if (topic->live()) ++live;
    if (topic->state == SimTopic::State::kDeleted) free_names.push_back(topic->name);
  }
  if (live >= kTopicsMax) return;
  auto topic = std::make_shared<SimTopic>();
  topic->name = !free_names.empty() && OneIn(random, 2)
                    ? free_names[random.Below(free_names.size())]
                    : absl::StrCat("topic-", next_name_++);
  topic->partitions = topic->partitions_max = 1 + static_cast<int>(random.Below(3));
  topic->durable = !OneIn(random, 3);
  topic->configs = {{"durability", topic->durable ? "durable" : "replicated"},
                    {"segment.bytes", "1048576"},
                    {"retention.ms", "-1"},
                    {"max.message.bytes", "1000000"}};
  if (OneIn(random, 2)) topic->configs["segment.ms"] = absl::StrCat(500 + random.Below(3000));
  if (OneIn(random, 2)) topic->configs["index.interval.bytes"] = "256";
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* wanted = request.add_topics();
  wanted->set_name(topic->name);
  wanted->set_partitions(topic->partitions);
  for (const auto& [name, value] : topic->configs) {
    v1::ConfigEntry* entry = wanted->add_configs();
    entry->set_name(name);
    entry->set_value(*value);
  }
  world_.AtServer([this, request, topic] {
    world_.server.node().CreateTopics(
        request, [this, topic](absl::StatusOr<v1::CreateTopicsResponse> response, LogIndex) {
          if (world_.server.dying()) return;
          const ErrorCode code = response.ok() ? static_cast<ErrorCode>(response->topics(0).code())
                                               : CodeOf(response.status());
          if (code != ErrorCode::kNone) {
            return world_.Reached(absl::StrCat("create-", ErrorCodeName(code)));
          }
          topic->id = TopicId::FromBytes(response->topics(0).topic_id()).value();
          for (const auto& other : world_.topics) {
            if (other->id == topic->id) world_.Note(Violation(*topic, "the id was given before"));
            if (other->name == topic->name) world_.Reached("topic-created-again");
          }
          world_.topics.push_back(topic);
          world_.Reached("topic-created");
        });
  });
}

void AdminClient::DeleteTopic() {
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr) return;
  topic->state = SimTopic::State::kDeleting;
  v1::DeleteTopicsRequest request;
  if (OneIn(world_.random, 2)) {
    request.add_topic_ids(topic->id.ToBytes());
  } else {
    request.add_names(topic->name);
  }
  world_.AtServer([this, request, topic] {
    world_.server.node().Submit(
        request, [this, topic](absl::StatusOr<v1::DeleteTopicsResponse> response, LogIndex) {
          if (world_.server.dying() || !response.ok()) return;
          const auto code = static_cast<ErrorCode>(response->topics(0).code());
          if (code != ErrorCode::kNone) {
            return world_.Reached(absl::StrCat("delete-", ErrorCodeName(code)));
          }
          topic->state = SimTopic::State::kDeleted;
          world_.Reached("topic-deleted");
        });
  });
}

void AdminClient::AddPartitions() {
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr || topic->partitions_max >= kPartitionsMax) return;
  const int wanted = ++topic->partitions_max;
  v1::CreatePartitionsRequest request;
  request.add_topics()->set_name(topic->name);
  request.mutable_topics(0)->set_total_count(wanted);
  world_.AtServer([this, request, topic, wanted] {
    world_.server.node().CreatePartitions(
        request,
        [this, topic, wanted](absl::StatusOr<v1::CreatePartitionsResponse> response, LogIndex) {
          if (world_.server.dying() || !response.ok()) return;
          const auto code = static_cast<ErrorCode>(response->topics(0).code());
          if (code != ErrorCode::kNone) {
            return world_.Reached(absl::StrCat("grow-", ErrorCodeName(code)));
          }
          topic->partitions = std::max(topic->partitions, wanted);
          world_.Reached("partitions-added");
        });
  });
}

void AdminClient::AlterConfig() {
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr) return;
  SimRandom& random = world_.random;
  std::string name = "max.message.bytes";
  std::string value = absl::StrCat(OneIn(random, 4) ? 2000 + random.Below(50000) : 1000000);
  if (OneIn(random, 4)) {
    name = "retention.bytes";
    value = OneIn(random, 2) ? "-1" : absl::StrCat(1 + random.Below(2000000));
    for (int i = 0; i < kPartitionsMax; ++i) world_.history.OnMayBeTrimmed(topic->Partition(i));
  }
  topic->configs[name] = std::nullopt;
  v1::IncrementalAlterConfigsRequest request;
  v1::AlterConfigsResource* resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(topic->name);
  v1::ConfigAlteration* alteration = resource->add_alterations();
  alteration->set_name(name);
  alteration->set_operation(v1::CONFIG_OPERATION_SET);
  alteration->set_value(value);
  world_.AtServer([this, request, topic, name, value] {
    world_.server.node().Submit(
        request, [this, topic, name, value](
                     absl::StatusOr<v1::IncrementalAlterConfigsResponse> response, LogIndex) {
          if (world_.server.dying() || !response.ok()) return;
          const auto code = static_cast<ErrorCode>(response->resources(0).code());
          if (code != ErrorCode::kNone) {
            return world_.Reached(absl::StrCat("alter-", ErrorCodeName(code)));
          }
          topic->configs[name] = value;
          world_.Reached("config-altered");
        });
  });
}

void AdminClient::CheckTopic(const std::shared_ptr<SimTopic>& topic,
                             std::function<void(bool)> done) {
  v1::DescribeTopicsRequest request;
  request.add_topic_ids(topic->id.ToBytes());
  world_.AtServer(
      [this, request, topic, done] {
        world_.server.node().Submit(
            request, [this, topic, known = *topic, incarnation = world_.server.incarnation(), done](
                         absl::StatusOr<v1::DescribeTopicsResponse> response, LogIndex) {
              if (world_.server.dying()) return;
              if (response.ok()) OnDescribed(topic, known, incarnation, response->topics(0));
              if (done) done(response.ok());
            });
      },
      [done] {
        if (done) done(false);
      });
}

void AdminClient::OnDescribed(const std::shared_ptr<SimTopic>& topic, SimTopic known,
                              int incarnation, const v1::TopicDescription& described) {
  const auto code = static_cast<ErrorCode>(described.code());
  if (known.state == SimTopic::State::kDeleted) {
    if (code == ErrorCode::kNone) {
      world_.Note(Violation(known, "is there, and its deletion was acknowledged"));
    }
    return world_.Reached("deletion-checked");
  }
  // Whether it is there may have been decided since the question; then nothing can be said.
  if (!topic->live() || !known.live()) return;
  if (code != ErrorCode::kNone) {
    return world_.Note(
        Violation(known, absl::StrCat("is not there, and its creation was acknowledged: ",
                                      ErrorCodeName(code), " ", described.message())));
  }
  if (described.name() != known.name) {
    world_.Note(Violation(known, absl::StrCat("is called ", described.name())));
  }
  if (described.partitions_size() < known.partitions ||
      described.partitions_size() > topic->partitions_max) {
    world_.Note(Violation(known, absl::StrCat("has ", described.partitions_size(), " partitions, ",
                                              known.partitions, " were acknowledged")));
  }
  for (const auto& [name, value] : known.configs) {
    const auto now = topic->configs.find(name);
    if (!value || now->second != value) continue;  // Being changed.
    const auto found =
        std::find_if(described.configs().begin(), described.configs().end(),
                     [&name = name](const v1::ConfigEntry& entry) { return entry.name() == name; });
    if (found == described.configs().end() || found->value() != *value) {
      world_.Note(
          Violation(known, absl::StrCat(name, " is not ", *value, ", as was acknowledged")));
    }
  }
  CheckEpochs(topic, known, incarnation, described);
  world_.Reached("topic-checked");
}

void AdminClient::CheckEpochs(const std::shared_ptr<SimTopic>& topic, const SimTopic& known,
                              int incarnation, const v1::TopicDescription& described) {
  for (const v1::PartitionDescription& partition : described.partitions()) {
    const auto before = known.epochs.find(partition.partition());
    if (before != known.epochs.end()) {
      const bool restarted = incarnation > before->second.incarnation && before->second.led;
      if (partition.leader_epoch() < before->second.leader_epoch + (restarted ? 1 : 0)) {
        world_.Note(Violation(
            known, absl::StrCat("S-01: partition ", partition.partition(), " has leader epoch ",
                                partition.leader_epoch(), " and had ", before->second.leader_epoch,
                                restarted ? " in an earlier incarnation" : " before")));
      }
    }
    SimTopic::SeenEpoch& seen = topic->epochs[partition.partition()];
    if (incarnation >= seen.incarnation) {
      seen = {incarnation, std::max(seen.leader_epoch, partition.leader_epoch()),
              partition.leader_id() >= 0};
    }
  }
}

}  // namespace millrace::sim
