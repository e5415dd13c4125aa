// History: what clients were told about the records they sent, and whether what they read
// afterwards can be true.
//
// Every record a test sends is unique. For each partition it keeps which offsets were acknowledged
// with which record, and which records have an unknown fate. A read is checked record by record;
// the final read of a whole partition also shows what is missing.
//
// Thread: the simulation's one (or a test's).
#ifndef TEST_SIM_HISTORY_H_
#define TEST_SIM_HISTORY_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"

namespace millrace::sim {

class History {
 public:
  // A record is on its way. REQUIRES: `value` was never sent before.
  void OnSent(const TopicPartition& partition, const std::string& value);
  // It was acknowledged. Errors (a violation): the offset was acknowledged with another record, or
  // is not above the last one acknowledged to the same sender's stream of one.
  absl::Status OnAcknowledged(const TopicPartition& partition, const std::string& value,
                              Offset offset);
  // It was refused for sure: it must never be seen.
  void OnRefused(const TopicPartition& partition, const std::string& value);
  // Acknowledged records below `start` may be gone.
  void OnDeletedBefore(const TopicPartition& partition, Offset start);
  // Acknowledged offsets from `end` on may be gone: a topic that promises less than durability lost
  // power.
  void OnMayHaveLost(const TopicPartition& partition);

  // One record that was read. Errors: it was never sent there, was refused, or the offset was
  // acknowledged with another record.
  absl::Status CheckRead(const TopicPartition& partition, Offset offset, const std::string& value);
  // All records of a partition from `start`, in order. Errors: as CheckRead; an acknowledged record
  // that is missing; a record that is there twice.
  absl::Status CheckWhole(const TopicPartition& partition, Offset start,
                          const std::vector<std::pair<Offset, std::string>>& records);

  int64_t acknowledged() const { return acknowledged_; }

 private:
  enum class Fate { kUnknown, kAcknowledged, kRefused };
  struct Partition {
    std::map<std::string, Fate> sent;
    std::map<Offset, std::string> acknowledged;
    Offset start;
  };
  std::map<TopicPartition, Partition> partitions_;
  int64_t acknowledged_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_HISTORY_H_
