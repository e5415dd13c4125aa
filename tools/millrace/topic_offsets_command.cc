#include "tools/millrace/topic_offsets_command.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/consumer.h"
#include "tools/millrace/option_check.h"

namespace millrace::tools {
namespace {

struct OffsetsOptions {
  std::string topic;
  std::vector<int32_t> partitions;
};

// By partition; false: it has no leader, and nobody can be asked.
using Wanted = std::map<PartitionIndex, bool>;

absl::StatusOr<Wanted> WantedPartitions(const OffsetsOptions& options,
                                        const GlobalOptions& global) {
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  v1::DescribeTopicsRequest request;
  request.add_names(options.topic);
  ASSIGN_OR_RETURN(const v1::DescribeTopicsResponse response, admin->DescribeTopics(request));
  const v1::TopicDescription& topic = response.topics(0);
  RETURN_IF_ERROR(
      WithNearestTopic(ResultStatus(topic.code(), topic.message()), options.topic, global));
  Wanted all;
  for (const v1::PartitionDescription& partition : topic.partitions()) {
    all[PartitionIndex(partition.partition())] = partition.leader_id() >= 0;
  }
  if (options.partitions.empty()) return all;
  Wanted wanted;
  for (const int32_t partition : options.partitions) {
    const auto known = all.find(PartitionIndex(partition));
    if (known == all.end()) {
      return MakeError(ErrorCode::kUnknownTopicOrPartition,
                       absl::StrCat("--partition: topic '", options.topic, "' has no partition ",
                                    partition, "; it has ", all.size(), ": 0 to ", all.size() - 1),
                       {.name = "--partition", .value = absl::StrCat(partition)});
    }
    wanted.insert(*known);
  }
  return wanted;
}

using Ranges = std::map<client::NamedPartition, std::pair<Offset, Offset>>;

// Of those that have a leader.
absl::StatusOr<Ranges> RangesOf(const std::string& topic, const Wanted& wanted,
                                const GlobalOptions& global) {
  std::vector<client::NamedPartition> led;
  for (const auto& [partition, has_leader] : wanted) {
    if (has_leader) led.push_back({topic, partition});
  }
  if (led.empty()) return Ranges();
  ConfigValues config = global.connection();
  config["client.id"] = "millrace-topic-offsets";
  // The end is the high watermark then, also behind a transaction that is open.
  config["isolation.level"] = "read_uncommitted";
  ASSIGN_OR_RETURN(const auto consumer, client::Consumer::Create(config));
  return consumer->OffsetRange(led, global.timeout());
}

absl::Status PrintOffsets(const OffsetsOptions& options, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(const Wanted wanted, WantedPartitions(options, global));
  ASSIGN_OR_RETURN(const Ranges ranges, RangesOf(options.topic, wanted, global));
  absl::Status first;
  Json partitions = Json::array();
  Table table({"PARTITION", "LOG START", "HIGH WATERMARK"});
  for (const auto& [partition, has_leader] : wanted) {
    const client::NamedPartition name{options.topic, partition};
    const auto range = ranges.find(name);
    const bool known = range != ranges.end();
    const int64_t begin = known ? range->second.first.value() : -1;
    const int64_t end = known ? range->second.second.value() : -1;
    const absl::Status status =
        known ? absl::OkStatus()
              : MakeError(ErrorCode::kBrokerNotAvailable, "it has no leader that could be asked");
    first.Update(Annotate(status, TextOf(name)));
    partitions.push_back({{"partition", partition.value()},
                          {"log_start_offset", begin},
                          {"high_watermark", end},
                          {"error", known ? "" : ErrorCodeName(CodeOf(status))},
                          {"message", std::string(status.message())}});
    table.Add({absl::StrCat(partition.value()), known ? absl::StrCat(begin) : "-",
               known ? absl::StrCat(end) : "-"});
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"topic", options.topic}, {"partitions", partitions}});
  } else {
    table.Print();
  }
  return first;
}

}  // namespace

void AddTopicOffsets(CLI::App* topic, GlobalOptions* global) {
  auto options = std::make_shared<OffsetsOptions>();
  CLI::App* command = AddCommand(
      topic, "offsets", "Show where each partition begins and ends",
      "  millrace topic offsets orders\n"
      "  millrace topic offsets orders --partition 3 -o json\n\n"
      "From the first offset that is left up to the high watermark, which is the next offset that\n"
      "consumers will see. Between them may be fewer records than offsets: compaction and\n"
      "transactions leave gaps.\n",
      global, [=] { return PrintOffsets(*options, *global); });
  command->add_option("topic", options->topic, "Name of the topic")->required();
  command->add_option("-p,--partition", options->partitions, "Only this partition; may be repeated")
      ->check(WholeNumber(0, INT32_MAX));
  AddConnectionOptions(command, global);
}

}  // namespace millrace::tools
