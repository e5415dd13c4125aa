// Produce: what a producer asks of a broker, and what it is told.
//
// Batches travel as the bytes they are (record batch v2). Plain records travel as a run of encoded
// millrace.v1.Record messages, which codec/plain_records.h reads and writes: neither form is ever
// turned into an object per record.
//
// Thread: any (values).
#ifndef API_PRODUCE_H_
#define API_PRODUCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "api/partition_name.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::api {

// When a produce is acknowledged. The numbers are those of millrace.v1.Acks, and so an unknown one
// of a newer client can be told: INVALID_REQUIRED_ACKS.
enum class Acks : int32_t {
  kUnspecified = 0,  // As kAll.
  kNone = 1,         // At once, before the append.
  kLeader = 2,       // When the leader has the records at the topic's durability level.
  kAll = 3,          // When the whole in-sync set has.
};

// What an acknowledgement promises; the numbers are those of millrace.v1.DurabilityLevel.
enum class DurabilityLevel : int32_t {
  kUnspecified = 0,
  kReplicated = 1,  // In the page cache of the whole in-sync set.
  kDurable = 2,     // On the disks of the whole in-sync set.
};

// Under which a producer numbers its batches, per partition from 0 on (KIP-98).
struct ProducerIdentity {
  ProducerId id = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;

  friend bool operator==(const ProducerIdentity&, const ProducerIdentity&) = default;
};

struct ProducePartition {
  PartitionName name;
  // Either encoded batches, one after the other...
  Bytes batches;
  // ...or plain records, as a run of encoded `records` fields; the broker packs them into one
  // batch.
  Bytes plain_records;
  // The epoch the client believes in; none means any.
  std::optional<LeaderEpoch> leader_epoch;
  // See topic_checksum.h (S-24).
  std::optional<uint32_t> topic_checksum;
  // On a ProduceStream: raised by the client to go on with the partition after a failure (S-23).
  uint32_t restart = 0;

  friend bool operator==(const ProducePartition&, const ProducePartition&) = default;
};

struct ProduceRequest {
  std::vector<ProducePartition> partitions;
  Acks acks = Acks::kUnspecified;
  // How long to wait for the in-sync set; zero means the default.
  absl::Duration timeout;
  std::string client_id;

  friend bool operator==(const ProduceRequest&, const ProduceRequest&) = default;
};

inline constexpr absl::Duration kDefaultProduceTimeout = absl::Seconds(30);

struct ProducePartitionResult {
  PartitionName name;
  PartitionOutcome outcome;
  // Of the first record; kNoOffset with an error or acks none.
  Offset base_offset = kNoOffset;
  // What the server stamped; -1 if the producer's timestamps were kept.
  int64_t log_append_time_ms = -1;
  Offset log_start_offset = kNoOffset;
  DurabilityLevel level = DurabilityLevel::kUnspecified;

  friend bool operator==(const ProducePartitionResult&, const ProducePartitionResult&) = default;
};

struct ProduceResponse {
  std::vector<ProducePartitionResult> partitions;

  friend bool operator==(const ProduceResponse&, const ProduceResponse&) = default;
};

// One message of a ProduceStream, each way. One request may be answered in several responses.
struct ProduceStreamRequest {
  // Chosen by the client; given back in the answers.
  uint64_t request_number = 0;
  ProduceRequest request;
  // Of the first message: what others lead is passed on to them, instead of refused with a hint.
  bool forward = false;

  friend bool operator==(const ProduceStreamRequest&, const ProduceStreamRequest&) = default;
};

struct ProduceStreamResponse {
  uint64_t request_number = 0;
  std::vector<ProducePartitionResult> partitions;

  friend bool operator==(const ProduceStreamResponse&, const ProduceStreamResponse&) = default;
};

}  // namespace millrace::api

#endif  // API_PRODUCE_H_
