// Record: what a producer sends and a consumer gets, in plain form.
//
// A missing key or value is null, which differs from an empty one. The borrowed forms are views of
// memory that somebody else keeps for as long as a call runs: with them nothing is allocated per
// record.
//
// Thread: any (values).
#ifndef CLIENT_RECORD_H_
#define CLIENT_RECORD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/status.h"
#include "record/record.h"

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

// A record whose parts lie elsewhere.
struct BorrowedRecord {
  absl::optional<Slice> key;
  absl::optional<Slice> value;
  // As Record's.
  int64_t timestamp_ms = 0;
  absl::Span<const record::Header> headers;
};

// Where a record went.
struct DeliveryReport {
  // What went wrong; OK if acknowledged (or, with acks none, sent).
  absl::Status status;
  PartitionIndex partition;
  // kNoOffset with acks none.
  Offset offset = kNoOffset;
  // What the broker stamped; -1 if the record kept its own timestamp.
  int64_t log_append_time_ms = -1;
};

// A record as a consumer gets it.
struct ConsumedRecord {
  std::string topic;
  PartitionIndex partition;
  Offset offset;
  LeaderEpoch leader_epoch;
  Record record;
};

// The same without copies: it holds until the function it is given to returns.
struct BorrowedConsumedRecord {
  const std::string& topic;
  PartitionIndex partition;
  LeaderEpoch leader_epoch;
  // With its offset.
  const record::RecordView& record;
};

}  // namespace millrace::client

#endif  // CLIENT_RECORD_H_
