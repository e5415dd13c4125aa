// Record: what a producer sends and a consumer gets, in plain form.
//
// A missing key or value is null, which differs from an empty one.
//
// Thread: any (values).
#ifndef CLIENT_RECORD_H_
#define CLIENT_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/status.h"

namespace millrace::client {

struct RecordHeader {
  std::string key;
  std::optional<std::string> value;

  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

struct Record {
  std::optional<std::string> key;
  std::optional<std::string> value;
  // Milliseconds since the Unix epoch; 0 means the time of Send.
  int64_t timestamp_ms = 0;
  std::vector<RecordHeader> headers;

  friend bool operator==(const Record&, const Record&) = default;
};

// Where a record went.
struct DeliveryReport {
  // What went wrong; OK if acknowledged (or, with acks none, sent).
  absl::Status status;
  PartitionIndex partition;
  // kNoOffset with acks none.
  Offset offset = kNoOffset;
};

// A record as a consumer gets it.
struct ConsumedRecord {
  std::string topic;
  PartitionIndex partition;
  Offset offset;
  LeaderEpoch leader_epoch;
  Record record;
};

}  // namespace millrace::client

#endif  // CLIENT_RECORD_H_
