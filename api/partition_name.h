// PartitionName: a partition as a caller of the public API names it, by the topic's name, its id,
// or both; and what every answer about one partition has in common.
//
// Not the partition's identity inside a broker: that is TopicPartition (base/ids.h), which a broker
// finds by looking the name up in its metadata.
//
// Thread: any (values).
#ifndef API_PARTITION_NAME_H_
#define API_PARTITION_NAME_H_

#include <optional>
#include <ostream>
#include <string>

#include "base/error_code.h"
#include "base/ids.h"
#include "base/status.h"

namespace millrace::api {

struct PartitionName {
  // Empty: named by the id alone.
  std::string topic;
  // Zero: named by the topic's name alone. Where both are given they must agree.
  TopicId topic_id;
  PartitionIndex partition;

  friend bool operator==(const PartitionName&, const PartitionName&) = default;
  friend auto operator<=>(const PartitionName&, const PartitionName&) = default;
  friend std::ostream& operator<<(std::ostream& out, const PartitionName& name) {
    if (name.topic.empty()) return out << name.topic_id << "-" << name.partition;
    return out << name.topic << "-" << name.partition;
  }
};

// How one partition of a request fared. A hot answer has no message and no leader, and costs
// nothing.
struct PartitionOutcome {
  ErrorCode code = ErrorCode::kNone;
  // Why, where the code alone does not say it.
  std::string message;
  // Who leads instead, where that may help (S-40).
  std::optional<LeaderHint> leader;

  bool ok() const { return code == ErrorCode::kNone; }
  // The outcome that a status says; its leader hint is taken over.
  static PartitionOutcome Of(const absl::Status& status) {
    if (status.ok()) return {};
    return {CodeOf(status), std::string(status.message()), DetailOf(status).leader};
  }

  friend bool operator==(const PartitionOutcome&, const PartitionOutcome&) = default;
};

}  // namespace millrace::api

#endif  // API_PARTITION_NAME_H_
