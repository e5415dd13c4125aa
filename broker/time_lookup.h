// LookUpTime: a lookup of an offset by time, as one of the cold reads of its log's directory. So it
// has the patience that those have: a disk that hangs keeps a bounded number of lookups, and the
// answer of no partition on another disk (S-37).
//
// What a late one finds is not kept, unlike the batches of a read: it is a few blocks of an index
// and a batch, which are in memory then for who asks again.
//
// Thread: the shard's executor.
#ifndef BROKER_TIME_LOOKUP_H_
#define BROKER_TIME_LOOKUP_H_

#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/cold_reads.h"
#include "broker/replica_log.h"

namespace millrace::broker {

using TimeLookupDone =
    absl::AnyInvocable<void(absl::StatusOr<std::optional<storage::TimestampAndOffset>>) &&>;

// Carries out `lookup` on `pool`, that of the partition's log, which is led in `epoch`. `done` is
// called once, perhaps from inside, unless `reads` is abandoned before. Errors beside the lookup's
// own: REQUEST_TIMED_OUT. `reads` outlives this.
void LookUpTime(ColdReads* reads, Executor* pool, const TopicPartition& partition,
                LeaderEpoch epoch, TimeLookup lookup, TimeLookupDone done);

}  // namespace millrace::broker

#endif  // BROKER_TIME_LOOKUP_H_
