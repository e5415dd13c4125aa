// ReassignmentPlan: which partitions are to go to which brokers, from the command line's words or
// from a file, as a request.
//
// The file is JSON: {"partitions":[{"topic":"t","partition":0,"replicas":[101,102]},...]}, as
// kafka-reassign-partitions of Kafka writes it; keys that are not named here are ignored.
//
// Thread: any (pure functions).
#ifndef TOOLS_MILLRACE_REASSIGNMENT_PLAN_H_
#define TOOLS_MILLRACE_REASSIGNMENT_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "millrace/v1/admin_service.pb.h"

namespace millrace::tools {

// "TOPIC" or "TOPIC:P". Topic names have no colon.
struct TopicPartitionWord {
  std::string topic;
  // Absent: all of them.
  std::optional<int32_t> partition;
};

// Errors: INVALID_REQUEST, naming the word.
absl::StatusOr<TopicPartitionWord> ParseTopicPartition(const std::string& word);

// "101,102,103". Errors: INVALID_REQUEST, naming what is no broker id.
absl::StatusOr<std::vector<int32_t>> ParseBrokers(const std::string& text);

// The partitions of a plan in JSON. Errors: INVALID_REQUEST, saying what is wrong where.
absl::StatusOr<std::vector<v1::PartitionReassignment>> ParsePlan(absl::string_view json);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_REASSIGNMENT_PLAN_H_
