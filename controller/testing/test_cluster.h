// TestCluster: a controller's state with its log, for tests: runs commands, applies their records.
//
// Every command is one entry of the log, as in rsm::Host, and nothing else is in the log.
//
// Thread: tests only.
#ifndef CONTROLLER_TESTING_TEST_CLUSTER_H_
#define CONTROLLER_TESTING_TEST_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "controller/machine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::controller {

class TestCluster {
 public:
  // Founded, without brokers.
  explicit TestCluster(ConfigValues static_values = {}) {
    Settings settings;
    settings.node_id = NodeId(1);
    settings.static_values = std::move(static_values);
    state_ = MakeState({}, std::make_shared<const Settings>(std::move(settings)));
    EXPECT_OK(Run(FoundClusterCommand{ClusterId(Uuid(7, 7))}));
  }

  const State& state() const { return state_; }
  const metadata::Image& image() const { return state_.image; }
  const std::vector<std::vector<rsm::Record>>& log() const { return log_; }
  LogIndex index() const { return LogIndex(static_cast<int64_t>(log_.size())); }

  // Decides, and applies the records if there are any.
  template <class Request>
  using ReplyOf =
      decltype(Machine::Decide(std::declval<State>(), std::declval<Request>(), rsm::Now{}).reply);
  template <class Request>
  ReplyOf<Request> Run(const Request& request) {
    auto decision = Machine::Decide(state_, request, rsm::Now{});
    if (!decision.records.empty()) {
      EXPECT_OK(decision.reply);
      for (const rsm::Record& record : decision.records) EXPECT_OK(Machine::CheckRecord(record));
      log_.push_back(decision.records);
      state_ = Machine::Apply(state_, index(), decision.records);
    }
    return std::move(decision.reply);
  }

  // The directory that broker `id` has from the start.
  static DirectoryId DirectoryOf(int id) { return DirectoryId(Uuid(1000, id)); }

  struct LogDir {
    DirectoryId id;
    int64_t last_open = 0;
    bool suspect = false;
  };

  static internal::v1::RegisterBrokerRequest Registration(int id, int incarnation,
                                                          std::vector<LogDir> dirs,
                                                          std::string rack = "") {
    internal::v1::RegisterBrokerRequest request;
    request.set_broker_id(id);
    request.set_incarnation_id(IncarnationId(Uuid(id, incarnation)).ToBytes());
    auto* listener = request.add_listeners();
    listener->set_name("PLAINTEXT");
    listener->set_host("localhost");
    listener->set_port(9000 + id);
    request.set_rack(std::move(rack));
    for (const LogDir& dir : dirs) {
      auto* out = request.add_log_dirs();
      out->set_directory_id(dir.id.ToBytes());
      out->set_last_open_broker_epoch(dir.last_open);
      out->set_suspect(dir.suspect);
    }
    request.set_feature_level_min(1);
    request.set_feature_level_max(metadata::kFeatureLevelMax);
    return request;
  }

  // Registers a new process of broker `id` on the directory it always had, opened by the process
  // before it, and says whether that stopped uncleanly.
  void Register(int id, int incarnation, bool suspect = false, std::string rack = "") {
    const metadata::BrokerImage* before = image().FindBroker(NodeId(id));
    const int64_t last_open = before == nullptr ? 0 : before->epoch.value();
    EXPECT_OK(Run(
        Registration(id, incarnation, {{DirectoryOf(id), last_open, suspect}}, std::move(rack))));
  }

  absl::StatusOr<internal::v1::BrokerHeartbeatResponse> Heartbeat(int id, bool active,
                                                                  bool shutdown = false) {
    internal::v1::BrokerHeartbeatRequest request;
    request.set_broker_id(id);
    request.set_broker_epoch(image().FindBroker(NodeId(id))->epoch.value());
    request.set_applied_index(index().value());
    request.set_want_active(active);
    request.set_want_shutdown(shutdown);
    return Run(request);
  }
  void Activate(int id) { EXPECT_OK(Heartbeat(id, true)); }
  void Start(int id, int incarnation, bool suspect = false, std::string rack = "") {
    Register(id, incarnation, suspect, std::move(rack));
    Activate(id);
  }
  void Fence(int id) {
    EXPECT_OK(Run(FenceBrokerCommand{NodeId(id), image().FindBroker(NodeId(id))->epoch}));
  }

  CreateTopicsCommand Creation(std::string name, int partitions, int replication_factor,
                               ConfigValues configs = {}) {
    CreateTopicsCommand command;
    auto* topic = command.request.add_topics();
    topic->set_name(std::move(name));
    topic->set_partitions(partitions);
    topic->set_replication_factor(replication_factor);
    for (const auto& [key, value] : configs) {
      auto* config = topic->add_configs();
      config->set_name(key);
      config->set_value(value);
    }
    command.fresh_ids.push_back(FreshId());
    return command;
  }
  TopicId FreshId() { return TopicId(Uuid(2000, ++last_topic_)); }

  v1::CreateTopicResult Create(std::string name, int partitions, int replication_factor,
                               ConfigValues configs = {}) {
    auto reply = Run(Creation(std::move(name), partitions, replication_factor, std::move(configs)));
    EXPECT_OK(reply);
    return reply.ok() ? reply->topics(0) : v1::CreateTopicResult();
  }
  // A topic of one partition on these brokers, the leader first.
  void CreateOn(std::string name, std::vector<int> brokers, ConfigValues configs = {}) {
    CreateTopicsCommand command = Creation(std::move(name), 0, 0, std::move(configs));
    auto* assignment = command.request.mutable_topics(0)->add_assignments();
    for (const int broker : brokers) assignment->add_replicas(broker);
    auto reply = Run(command);
    ASSERT_OK(reply);
    ASSERT_EQ(reply->topics(0).code(), 0) << reply->topics(0).message();
  }

  const metadata::PartitionImage& Partition(absl::string_view topic, int partition = 0) const {
    return *image().FindTopic(topic)->FindPartition(PartitionIndex(partition));
  }
  TopicId IdOf(absl::string_view topic) const { return image().FindTopic(topic)->id; }

  // The leader of a partition proposes its in-sync set, as it is or with others.
  void Sync(absl::string_view topic, const std::vector<int>& isr, int partition = 0) {
    const metadata::PartitionImage& now = Partition(topic, partition);
    const auto epoch_of = [this](NodeId id) { return image().FindBroker(id)->epoch.value(); };
    internal::v1::AlterPartitionRequest request;
    request.set_broker_id(now.leader.value());
    request.set_broker_epoch(epoch_of(now.leader));
    auto* proposals = request.add_topics();
    proposals->set_topic_id(IdOf(topic).ToBytes());
    auto* proposal = proposals->add_partitions();
    proposal->set_partition(partition);
    proposal->set_leader_epoch(now.leader_epoch.value());
    proposal->set_partition_epoch(now.partition_epoch.value());
    for (const int id : isr) {
      auto* member = proposal->add_new_isr();
      member->set_broker_id(id);
      member->set_broker_epoch(epoch_of(NodeId(id)));
    }
    const auto reply = Run(request);
    ASSERT_OK(reply);
    const auto& result = reply->topics(0).partitions(0);
    ASSERT_EQ(result.code(), 0) << result.message();
  }

 private:
  State state_;
  std::vector<std::vector<rsm::Record>> log_;
  uint64_t last_topic_ = 0;
};

// Replicas and broker lists of a partition, for comparisons.
inline std::vector<int> Ids(const metadata::Replicas& replicas) {
  std::vector<int> ids;
  for (const metadata::ReplicaImage& replica : replicas) ids.push_back(replica.broker.value());
  return ids;
}
inline std::vector<int> Ids(const metadata::BrokerList& brokers) {
  std::vector<int> ids;
  for (const NodeId broker : brokers) ids.push_back(broker.value());
  return ids;
}

}  // namespace millrace::controller

#endif  // CONTROLLER_TESTING_TEST_CLUSTER_H_
