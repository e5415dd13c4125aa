#include "tools/millrace/partition_verify_command.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "tools/millrace/broker_log_dirs.h"
#include "tools/millrace/progress_line.h"
#include "tools/millrace/reassignment_plan.h"
#include "tools/millrace/replica_compare.h"

namespace millrace::tools {
namespace {

constexpr int32_t kRangeBytes = 4 << 20;

struct VerifyOptions {
  std::vector<std::string> words;
  int32_t partition = -1;
};

std::string CodeText(const absl::Status& status) {
  return status.ok() ? "" : std::string(ErrorCodeName(CodeOf(status)));
}

Json ReplicaJson(const ComparedReplica& replica) {
  return {{"broker", replica.broker},
          {"leader", replica.is_leader},
          {"log_start_offset", replica.log_start_offset},
          {"end_offset", replica.end_offset},
          {"error", CodeText(replica.status)},
          {"message", std::string(replica.status.message())}};
}

Json DifferenceJson(const std::optional<Difference>& difference) {
  if (!difference.has_value()) return nullptr;
  Json sums = Json::array();
  for (const Difference::Sum& sum : difference->sums) {
    sums.push_back({{"broker", sum.broker},
                    {"bytes", sum.bytes},
                    {"crc32c", absl::StrFormat("%08x", sum.crc32c)},
                    {"error", CodeText(sum.status)},
                    {"message", std::string(sum.status.message())}});
  }
  return {{"from_offset", difference->from_offset},
          {"to_offset", difference->to_offset},
          {"replicas", std::move(sums)}};
}

Json ComparisonJson(const std::string& topic, int32_t partition,
                    const PartitionComparison& compared) {
  Json replicas = Json::array();
  for (const ComparedReplica& replica : compared.replicas) {
    replicas.push_back(ReplicaJson(replica));
  }
  return {{"topic", topic},
          {"partition", partition},
          {"equal", compared.Verdict().ok()},
          {"from_offset", compared.from_offset},
          {"to_offset", compared.to_offset},
          {"bytes", compared.bytes},
          {"replicas", std::move(replicas)},
          {"difference", DifferenceJson(compared.difference)}};
}

// Replicas that begin later or end earlier than others, of which only the common range counts.
std::string Notes(const PartitionComparison& compared) {
  int64_t first = -1;
  int64_t last = -1;
  for (const ComparedReplica& replica : compared.replicas) {
    if (!replica.status.ok()) continue;
    first = first < 0 ? replica.log_start_offset : std::min(first, replica.log_start_offset);
    last = std::max(last, replica.end_offset);
  }
  std::vector<std::string> notes;
  for (const ComparedReplica& replica : compared.replicas) {
    if (!replica.status.ok()) continue;
    if (replica.log_start_offset > first) {
      notes.push_back(
          absl::StrCat("broker ", replica.broker, " begins at ", replica.log_start_offset));
    }
    if (replica.end_offset < last) {
      notes.push_back(absl::StrCat("broker ", replica.broker, " is at ", replica.end_offset));
    }
  }
  return absl::StrJoin(notes, ", ");
}

std::vector<std::string> Row(const std::string& topic, int32_t partition,
                             const PartitionComparison& compared) {
  std::vector<int32_t> asked;
  for (const ComparedReplica& replica : compared.replicas) {
    if (replica.status.ok()) asked.push_back(replica.broker);
  }
  const absl::Status verdict = compared.Verdict();
  const std::string notes = Notes(compared);
  const std::string result = verdict.ok()                      ? "equal"
                             : compared.difference.has_value() ? "DIFFERENT"
                                                               : "not compared with all";
  return {topic,
          absl::StrCat(partition),
          asked.empty() ? "-" : absl::StrJoin(asked, ","),
          absl::StrCat(compared.from_offset),
          absl::StrCat(compared.to_offset),
          absl::StrCat(compared.bytes),
          notes.empty() ? result : absl::StrCat(result, " (", notes, ")")};
}

// What the table has no room for.
std::string Explained(const std::string& where, const PartitionComparison& compared) {
  std::string text;
  for (const ComparedReplica& replica : compared.replicas) {
    if (replica.status.ok()) continue;
    absl::StrAppend(&text, where, ": broker ", replica.broker,
                    " could not be compared: ", replica.status.message(), "\n");
  }
  if (!compared.difference.has_value()) return text;
  const Difference& difference = *compared.difference;
  absl::StrAppend(&text, where, ": offsets ", difference.from_offset, " to ",
                  difference.to_offset - 1, " differ:\n");
  for (const Difference::Sum& sum : difference.sums) {
    absl::StrAppend(&text, "  broker ", sum.broker, ": ",
                    sum.status.ok()
                        ? absl::StrFormat("%d bytes, CRC32C %08x", sum.bytes, sum.crc32c)
                        : std::string(sum.status.message()),
                    "\n");
  }
  return text;
}

class Verifier {
 public:
  Verifier(client::Admin* admin, ReplicaAsker* brokers, const GlobalOptions& global)
      : admin_(admin), brokers_(brokers), global_(global) {}

  absl::Status Topic(const std::string& name, std::optional<int32_t> only) {
    v1::DescribeTopicsRequest request;
    request.add_names(name);
    ASSIGN_OR_RETURN(const v1::DescribeTopicsResponse response, admin_->DescribeTopics(request));
    const v1::TopicDescription& topic = response.topics(0);
    RETURN_IF_ERROR(WithNearestTopic(ResultStatus(topic.code(), topic.message()), name, global_));
    bool found = false;
    for (const v1::PartitionDescription& partition : topic.partitions()) {
      if (only.value_or(partition.partition()) != partition.partition()) continue;
      found = true;
      Partition(name, partition);
    }
    if (found) return absl::OkStatus();
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat("topic ", name, " has partitions 0 to ",
                                  topic.partitions_size() - 1, ", not ", only.value_or(0)),
                     {.name = "partition", .value = absl::StrCat(only.value_or(0))});
  }

  // Prints all of it. Returns the first error.
  absl::Status Report() {
    progress_.Clear();
    if (global_.format() == OutputFormat::kJson) {
      PrintJson({{"partitions", json_}, {"equal", first_error_.ok()}});
    } else {
      table_.Print();
      PrintOut(explained_);
    }
    return first_error_;
  }

 private:
  void Partition(const std::string& topic, const v1::PartitionDescription& partition) {
    const std::string where = absl::StrCat(topic, ":", partition.partition());
    const PartitionComparison compared = CompareReplicas(
        topic, partition, kRangeBytes,
        [this](int32_t broker, const v1::ChecksumReplicaRequest& request) {
          return brokers_->Ask(broker, request);
        },
        [&](int64_t offset, int64_t end) {
          progress_.Update([&] { return absl::StrCat(where, ": offset ", CountOf(offset, end)); });
        });
    json_.push_back(ComparisonJson(topic, partition.partition(), compared));
    table_.Add(Row(topic, partition.partition(), compared));
    explained_ += Explained(where, compared);
    first_error_.Update(Annotate(compared.Verdict(), absl::StrCat("partition ", where)));
  }

  client::Admin* const admin_;
  ReplicaAsker* const brokers_;
  const GlobalOptions& global_;
  ProgressLine progress_;
  Json json_ = Json::array();
  Table table_{{"TOPIC", "PARTITION", "REPLICAS", "FROM", "TO", "BYTES", "RESULT"}};
  std::string explained_;
  absl::Status first_error_;
};

absl::Status Verify(const VerifyOptions& options, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DescribeClusterResponse cluster, admin->DescribeCluster({}));
  ReplicaAsker brokers(cluster, global);
  Verifier verifier(admin.get(), &brokers, global);
  for (const std::string& word : options.words) {
    ASSIGN_OR_RETURN(TopicPartitionWord named, ParseTopicPartition(word));
    if (options.partition >= 0) named.partition = options.partition;
    RETURN_IF_ERROR(verifier.Topic(named.topic, named.partition));
  }
  return verifier.Report();
}

}  // namespace

void AddPartitionVerify(CLI::App* partition, GlobalOptions* global) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* verify = AddCommand(
      partition, "verify", "Compare the replicas of partitions, byte for byte",
      "  millrace partition verify orders\n"
      "  millrace partition verify orders --partition 3\n"
      "  millrace partition verify orders:3 payments -o json\n\n"
      "Each broker tells the checksums of its own files, range by range, up to the high "
      "watermark;\n"
      "the cluster may go on meanwhile. It fails if replicas differ, naming the first batch that\n"
      "does, or if one of them cannot be asked. Compared is what all replicas have.\n",
      global, [=] { return Verify(*options, *global); });
  verify->add_option("partitions", options->words, "TOPIC, or TOPIC:PARTITION")->required();
  verify->add_option("-p,--partition", options->partition, "This partition only")
      ->check(CLI::NonNegativeNumber);
  AddConnectionOptions(verify, global);
}

}  // namespace millrace::tools
