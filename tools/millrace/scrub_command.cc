#include "tools/millrace/scrub_command.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "tools/millrace/broker_log_dirs.h"
#include "tools/millrace/progress_line.h"
#include "tools/millrace/reassignment_plan.h"

namespace millrace::tools {
namespace {

constexpr int32_t kRangeBytes = 4 << 20;

struct ScrubOptions {
  std::vector<std::string> words;
  std::vector<int32_t> brokers;
  double mib_per_second = 0;
};

// One replica, read from its log start to its high watermark, or to the first damage.
struct ScrubbedReplica {
  int32_t broker = -1;
  std::string topic;
  int32_t partition = -1;
  int64_t from_offset = -1;
  int64_t to_offset = -1;
  int64_t bytes = 0;
  absl::Status status;

  bool damaged() const { return CodeOf(status) == ErrorCode::kCorruptLog; }
};

class Scrubber {
 public:
  Scrubber(const ScrubOptions& options, const GlobalOptions& global, client::Admin* admin)
      : options_(options), global_(global), admin_(admin), began_(absl::Now()) {}

  absl::Status Run() {
    RETURN_IF_ERROR(ReadWords());
    ASSIGN_OR_RETURN(const v1::DescribeClusterResponse cluster, admin_->DescribeCluster({}));
    // What is not there has no damage, and would pass for good.
    RETURN_IF_ERROR(CheckBrokers(cluster));
    RETURN_IF_ERROR(CheckTopics());
    ReplicaAsker asker(cluster, global_);
    for (const v1::BrokerDescription& broker : cluster.brokers()) {
      const int32_t id = broker.broker_id();
      if (!options_.brokers.empty() &&
          std::count(options_.brokers.begin(), options_.brokers.end(), id) == 0) {
        continue;
      }
      Broker(broker, &asker);
    }
    return Report();
  }

 private:
  absl::Status ReadWords() {
    for (const std::string& word : options_.words) {
      ASSIGN_OR_RETURN(const TopicPartitionWord named, ParseTopicPartition(word));
      wanted_[named.topic].insert(named.partition.value_or(-1));
    }
    return absl::OkStatus();
  }

  absl::Status CheckBrokers(const v1::DescribeClusterResponse& cluster) const {
    std::set<int32_t> registered;
    for (const v1::BrokerDescription& broker : cluster.brokers()) {
      registered.insert(broker.broker_id());
    }
    for (const int32_t id : options_.brokers) {
      if (registered.contains(id)) continue;
      return MakeError(ErrorCode::kBrokerIdNotRegistered,
                       absl::StrCat("--broker: broker ", id, " is not registered; registered are ",
                                    absl::StrJoin(registered, ", ")),
                       {.name = "--broker", .value = absl::StrCat(id)});
    }
    return absl::OkStatus();
  }

  absl::Status CheckTopics() const {
    if (wanted_.empty()) return absl::OkStatus();
    v1::DescribeTopicsRequest request;
    for (const auto& [topic, partitions] : wanted_) request.add_names(topic);
    ASSIGN_OR_RETURN(const v1::DescribeTopicsResponse response, admin_->DescribeTopics(request));
    for (const v1::TopicDescription& topic : response.topics()) {
      RETURN_IF_ERROR(
          WithNearestTopic(ResultStatus(topic.code(), topic.message()), topic.name(), global_));
      const auto named = wanted_.find(topic.name());
      if (named == wanted_.end()) continue;
      for (const int32_t partition : named->second) {
        if (partition < topic.partitions_size()) continue;
        return MakeError(
            ErrorCode::kUnknownTopicOrPartition,
            absl::StrCat("topic '", topic.name(), "' has no partition ", partition, "; it has ",
                         topic.partitions_size(), ": 0 to ", topic.partitions_size() - 1),
            {.name = "partition", .value = absl::StrCat(topic.name(), ":", partition)});
      }
    }
    return absl::OkStatus();
  }

  bool IsWanted(const v1::LogDirPartition& partition) const {
    if (wanted_.empty()) return true;
    const auto topic = wanted_.find(partition.topic());
    return topic != wanted_.end() &&
           (topic->second.contains(-1) || topic->second.contains(partition.partition()));
  }

  void Broker(const v1::BrokerDescription& broker, ReplicaAsker* asker) {
    const absl::StatusOr<v1::DescribeLogDirsResponse> dirs =
        DescribeLogDirsOf(broker, global_, admin_);
    if (!dirs.ok()) {
      ScrubbedReplica& none = replicas_.emplace_back();
      none.broker = broker.broker_id();
      none.status = dirs.status();
      return;
    }
    for (const v1::LogDirDescription& dir : dirs->log_dirs()) {
      for (const v1::LogDirPartition& partition : dir.partitions()) {
        if (IsWanted(partition)) Replica(broker.broker_id(), partition, asker);
      }
    }
  }

  void Replica(int32_t broker, const v1::LogDirPartition& partition, ReplicaAsker* asker) {
    ScrubbedReplica& replica = replicas_.emplace_back();
    replica.broker = broker;
    replica.topic = partition.topic();
    replica.partition = partition.partition();
    v1::ChecksumReplicaRequest request;
    request.set_broker_id(broker);
    request.set_topic(partition.topic());
    request.set_topic_id(partition.topic_id());
    request.set_partition(partition.partition());
    const auto ask = [&]() -> absl::StatusOr<v1::ChecksumReplicaResponse> {
      ASSIGN_OR_RETURN(v1::ChecksumReplicaResponse sum, asker->Ask(broker, request));
      // What was deleted meanwhile needs no reading.
      if (sum.code() == v1::ERROR_CODE_OFFSET_OUT_OF_RANGE &&
          request.from_offset() < sum.log_start_offset()) {
        request.set_from_offset(sum.log_start_offset());
        ASSIGN_OR_RETURN(sum, asker->Ask(broker, request));
      }
      return sum;
    };
    absl::StatusOr<v1::ChecksumReplicaResponse> sum = ask();
    if (sum.ok()) {
      replica.from_offset = replica.to_offset = sum->log_start_offset();
      request.set_from_offset(sum->log_start_offset());
      // What is written from now on is not this scrub's.
      request.set_to_offset(sum->end_offset());
      request.set_max_bytes(kRangeBytes);
    }
    while (sum.ok() && ResultStatus(sum->code(), "").ok() &&
           request.from_offset() < request.to_offset()) {
      sum = ask();
      if (!sum.ok() || (sum->bytes() == 0 && ResultStatus(sum->code(), "").ok())) break;
      replica.to_offset = sum->next_offset();
      replica.bytes += sum->bytes();
      request.set_from_offset(sum->next_offset());
      Pace(sum->bytes());
      progress_.Update([&] {
        return absl::StrCat("broker ", broker, ", ", replica.topic, ":", replica.partition,
                            ": offset ", CountOf(replica.to_offset, request.to_offset()));
      });
    }
    replica.status = sum.ok() ? ResultStatus(sum->code(), sum->message()) : sum.status();
  }

  // No faster than asked for.
  void Pace(int64_t bytes) {
    bytes_ += bytes;
    if (options_.mib_per_second <= 0) return;
    const double seconds = static_cast<double>(bytes_) / (options_.mib_per_second * (1 << 20));
    absl::SleepFor(began_ + absl::Seconds(seconds) - absl::Now());
  }

  absl::Status Report() {
    progress_.Clear();
    absl::Status first;
    int damaged = 0;
    Json json = Json::array();
    Table table({"BROKER", "TOPIC", "PARTITION", "OFFSET", "PROBLEM"});
    for (const ScrubbedReplica& replica : replicas_) {
      damaged += replica.damaged() ? 1 : 0;
      json.push_back({{"broker", replica.broker},
                      {"topic", replica.topic},
                      {"partition", replica.partition},
                      {"from_offset", replica.from_offset},
                      {"to_offset", replica.to_offset},
                      {"bytes", replica.bytes},
                      {"error", replica.status.ok() ? "" : ErrorCodeName(CodeOf(replica.status))},
                      {"message", std::string(replica.status.message())}});
      if (replica.status.ok()) continue;
      const std::string where = replica.partition < 0
                                    ? absl::StrCat("broker ", replica.broker)
                                    : absl::StrCat("broker ", replica.broker, ", partition ",
                                                   replica.topic, ":", replica.partition);
      first.Update(Annotate(replica.status, where));
      table.Add({absl::StrCat(replica.broker), replica.topic.empty() ? "-" : replica.topic,
                 replica.partition < 0 ? "-" : absl::StrCat(replica.partition),
                 replica.to_offset < 0 ? "-" : absl::StrCat(replica.to_offset),
                 std::string(replica.status.message())});
    }
    if (global_.format() == OutputFormat::kJson) {
      PrintJson({{"replicas", json}, {"bytes", bytes_}, {"damaged", damaged}});
      return first;
    }
    if (!first.ok()) table.Print();
    PrintOut(absl::StrCat(replicas_.size(), " replicas, ", bytes_, " bytes read: ", damaged,
                          " damaged\n"));
    return first;
  }

  const ScrubOptions& options_;
  const GlobalOptions& global_;
  client::Admin* const admin_;
  const absl::Time began_;
  // By topic; -1: all its partitions. Empty: everything.
  std::map<std::string, std::set<int32_t>> wanted_;
  std::vector<ScrubbedReplica> replicas_;
  int64_t bytes_ = 0;
  ProgressLine progress_;
};

absl::Status Scrub(const ScrubOptions& options, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  return Scrubber(options, global, admin.get()).Run();
}

}  // namespace

void AddScrubCommand(CLI::App* log, GlobalOptions* global) {
  auto options = std::make_shared<ScrubOptions>();
  CLI::App* scrub = AddCommand(
      log, "scrub", "Have running brokers read what they hold, and tell what is damaged",
      "  millrace log scrub                           (all brokers, all topics)\n"
      "  millrace log scrub orders payments:3 --broker 102\n"
      "  millrace log scrub --rate 50\n\n"
      "Each broker reads its own files up to the high watermark and checks every batch; readers\n"
      "and writers go on. Of each replica the first damage is told; brokers repair what is found\n"
      "from each other. It fails if there is any, if a broker cannot be asked, or if what is named "
      "does "
      "not\n"
      "exist.\n",
      global, [=] { return Scrub(*options, *global); });
  scrub->add_option("partitions", options->words, "TOPIC, or TOPIC:PARTITION; none means all");
  scrub->add_option("--broker", options->brokers, "Only this broker's; may be repeated");
  scrub->add_option("--rate", options->mib_per_second, "MiB to read in a second, at most")
      ->check(CLI::NonNegativeNumber);
  AddConnectionOptions(scrub, global);
}

}  // namespace millrace::tools
