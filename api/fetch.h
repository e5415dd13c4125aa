// Fetch: what a consumer asks of a broker, one call at a time or as a stream, and what it gets.
//
// Batches come by reference to the broker's memory (log tail, read buffer), in pieces that follow
// each other, each of whole batches.
//
// Thread: any (values).
#ifndef API_FETCH_H_
#define API_FETCH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "api/partition_name.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::api {

// Which records a reader sees; the numbers are those of millrace.v1.IsolationLevel.
enum class IsolationLevel : int32_t {
  kUnspecified = 0,  // As kReadCommitted.
  kReadUncommitted = 1,
  kReadCommitted = 2,
};

// The form in which records are returned; the numbers are those of millrace.v1.RecordFormat.
enum class RecordFormat : int32_t {
  kUnspecified = 0,  // As kRecords.
  kRecords = 1,
  // As stored: the first batch may begin before the offset asked for.
  kBatches = 2,
};

inline constexpr int32_t kDefaultPartitionBytesMax = 1 << 20;
inline constexpr int32_t kDefaultFetchBytesMax = 50 << 20;
inline constexpr int32_t kDefaultFetchBytesMin = 1;

struct FetchPartition {
  PartitionName name;
  Offset offset;
  // At most this much of this partition, but at least one batch; 0 means the default.
  int32_t bytes_max = 0;
  // The epoch the client believes in; none means any.
  std::optional<LeaderEpoch> leader_epoch;
  // Epoch of the last record fetched, to find divergence.
  std::optional<LeaderEpoch> last_fetched_epoch;

  friend bool operator==(const FetchPartition&, const FetchPartition&) = default;
};

struct FetchRequest {
  std::vector<FetchPartition> partitions;
  // Zero answers at once.
  absl::Duration max_wait;
  // 0 means the default, for both.
  int32_t bytes_min = 0;
  int32_t bytes_max = 0;
  IsolationLevel isolation_level = IsolationLevel::kUnspecified;
  RecordFormat format = RecordFormat::kUnspecified;
  std::string client_id;
  // The client's: a replica in it may answer, and the leader names one that does.
  std::string rack;

  friend bool operator==(const FetchRequest&, const FetchRequest&) = default;
};

// Usually one or two pieces: the tail of a segment and the cache behind it.
using BatchPieces = absl::InlinedVector<Bytes, 2>;

inline size_t TotalBytes(const BatchPieces& pieces) {
  size_t bytes = 0;
  for (const Bytes& piece : pieces) bytes += piece.size();
  return bytes;
}

struct FetchPartitionResult {
  PartitionName name;
  PartitionOutcome outcome;
  // The offset asked for; not on the wire.
  Offset fetch_offset = kNoOffset;
  Offset high_watermark = kNoOffset;
  // Equal to the high watermark as long as there are no transactions.
  Offset last_stable_offset = kNoOffset;
  Offset log_start_offset = kNoOffset;
  BatchPieces batches;
  // Instead of batches, for RecordFormat::kRecords: a run of encoded `records` fields
  // (codec/plain_records.h).
  Bytes plain_records;
  // Where the same may be read in the client's rack from now on; only a leader in another one says
  // it.
  std::optional<NodeId> preferred_read_replica;

  friend bool operator==(const FetchPartitionResult&, const FetchPartitionResult&) = default;
};

struct FetchResponse {
  std::vector<FetchPartitionResult> partitions;

  friend bool operator==(const FetchResponse&, const FetchResponse&) = default;
};

// The first message opens the stream with partitions and settings; later ones change it.
struct FetchStreamRequest {
  // Partitions to begin with, or to go on with from another offset (a seek).
  std::vector<FetchPartition> assign;
  // Partitions to stop; only their names count.
  std::vector<FetchPartition> unassign;
  // Bytes of batches the server may push beyond what it was allowed before.
  int64_t credit_bytes = 0;
  // Of the first message only.
  IsolationLevel isolation_level = IsolationLevel::kUnspecified;
  RecordFormat format = RecordFormat::kUnspecified;
  std::string client_id;
  std::string rack;
  // Raised by the client with each change; given back, so that pushes begun before it can be told.
  uint64_t assignment_number = 0;

  friend bool operator==(const FetchStreamRequest&, const FetchStreamRequest&) = default;
};

struct FetchStreamResponse {
  uint64_t assignment_number = 0;
  std::vector<FetchPartitionResult> partitions;

  friend bool operator==(const FetchStreamResponse&, const FetchStreamResponse&) = default;
};

}  // namespace millrace::api

#endif  // API_FETCH_H_
