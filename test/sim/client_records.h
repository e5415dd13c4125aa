// What both kinds of simulated clients do with records: make batches of them that the history
// knows, and check those that a fetch returns.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLIENT_RECORDS_H_
#define TEST_SIM_CLIENT_RECORDS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "api/fetch.h"
#include "api/produce.h"
#include "base/sim/sim_random.h"
#include "test/sim/history.h"

namespace millrace::sim {

// Records of one batch, and their numbers in the history.
struct SimBatch {
  Bytes bytes;
  std::vector<int64_t> numbers;
};

// A few records, some of them large, so that segments roll and windows fill; encoded, compressed or
// not, and known to the history. `sequence`: of the first, if `identity` has an id.
SimBatch BuildSimBatch(History* history, SimRandom* random, const TopicPartition& partition,
                       History::Lane lane, int64_t timestamp_ms,
                       const api::ProducerIdentity& identity = {}, int32_t sequence = 0);

// The records of batches that lie one after the other, from `from` on, decoded as a consumer does.
absl::StatusOr<std::vector<ReadRecord>> RecordsIn(Slice batches, Offset from);

// The records of an answer from `from` on, decoded as a consumer does.
absl::StatusOr<std::vector<ReadRecord>> RecordsOf(const api::FetchPartitionResult& result,
                                                  Offset from);

// The same, if they are what the partition holds: below the high watermark, without a hole, and
// each as it was sent and was seen there before. Errors: the first violation.
absl::StatusOr<std::vector<ReadRecord>> CheckedRecordsOf(History* history,
                                                         const TopicPartition& partition,
                                                         const api::FetchPartitionResult& result,
                                                         Offset from);

// Refused before anything was appended: the records must never be seen.
bool IsSureRefusal(ErrorCode code);

}  // namespace millrace::sim

#endif  // TEST_SIM_CLIENT_RECORDS_H_
