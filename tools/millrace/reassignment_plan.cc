#include "tools/millrace/reassignment_plan.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace millrace::tools {
namespace {

using Json = nlohmann::json;

absl::Status Bad(const std::string& message, const std::string& value) {
  return MakeError(ErrorCode::kInvalidRequest, message, {.value = value});
}

bool IsId(const Json& value) {
  return value.is_number_integer() && value >= 0 && value <= INT32_MAX;
}

absl::StatusOr<v1::PartitionReassignment> ParsePartition(const Json& entry, size_t at) {
  const std::string where = absl::StrCat("partitions[", at, "]");
  if (!entry.is_object() || !entry.contains("topic") || !entry["topic"].is_string() ||
      !entry.contains("partition") || !IsId(entry["partition"]) || !entry.contains("replicas") ||
      !entry["replicas"].is_array() || entry["replicas"].empty()) {
    return Bad(
        absl::StrCat(where, " is not like ",
                     R"({"topic":"orders","partition":0,"replicas":[101,102]}: )", entry.dump()),
        where);
  }
  v1::PartitionReassignment partition;
  partition.set_topic(entry["topic"].get<std::string>());
  partition.set_partition(entry["partition"].get<int32_t>());
  for (const Json& broker : entry["replicas"]) {
    if (!IsId(broker)) {
      return Bad(absl::StrCat(where, ": ", broker.dump(), " is no broker id"), where);
    }
    partition.add_replicas(broker.get<int32_t>());
  }
  return partition;
}

}  // namespace

absl::StatusOr<TopicPartitionWord> ParseTopicPartition(const std::string& word) {
  const std::vector<std::string> parts = absl::StrSplit(word, ':');
  TopicPartitionWord parsed{.topic = parts[0]};
  int32_t partition = 0;
  const bool numbered = parts.size() == 2;
  if (parsed.topic.empty() || parts.size() > 2 ||
      (numbered && (!absl::SimpleAtoi(parts[1], &partition) || partition < 0))) {
    return Bad(absl::StrCat("'", word, "' is no partition: give TOPIC, for all of a topic, or ",
                            "TOPIC:NUMBER"),
               word);
  }
  if (numbered) parsed.partition = partition;
  return parsed;
}

absl::StatusOr<std::vector<int32_t>> ParseBrokers(const std::string& text) {
  std::vector<int32_t> brokers;
  for (const absl::string_view word : absl::StrSplit(text, ',')) {
    int32_t broker = 0;
    if (!absl::SimpleAtoi(word, &broker) || broker < 0) {
      return Bad(absl::StrCat("--replicas: '", word, "' is no broker id; give them as 101,102,103"),
                 text);
    }
    brokers.push_back(broker);
  }
  return brokers;
}

absl::StatusOr<std::vector<v1::PartitionReassignment>> ParsePlan(absl::string_view json) {
  const Json plan = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (plan.is_discarded() || !plan.is_object() || !plan.contains("partitions") ||
      !plan["partitions"].is_array() || plan["partitions"].empty()) {
    return Bad(
        R"(a plan is JSON: {"partitions":[{"topic":"orders","partition":0,"replicas":[101,102]}]})",
        "");
  }
  std::vector<v1::PartitionReassignment> partitions;
  for (const Json& entry : plan["partitions"]) {
    ASSIGN_OR_RETURN(v1::PartitionReassignment partition, ParsePartition(entry, partitions.size()));
    partitions.push_back(std::move(partition));
  }
  return partitions;
}

}  // namespace millrace::tools
