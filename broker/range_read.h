// ReadRange: what a broker answers to another that repairs its log: batches of its own replica, as
// its files have them, below the high watermark that it learned in a checked attach (S-22).
//
// Leaders and followers answer alike, whoever leads now: an epoch and an offset name one batch in
// the whole history of a partition (S-01), and whoever asks compares the epochs with its own.
//
// Thread: its shard's executor.
#ifndef BROKER_RANGE_READ_H_
#define BROKER_RANGE_READ_H_

#include <memory>

#include "base/executor.h"
#include "broker/repair_channel.h"
#include "broker/shard.h"

namespace millrace::broker {

// `done` runs on the shard's executor, once, unless the shard goes before; errors as RangeDone.
void ReadRange(const std::shared_ptr<Shard>& shard, const RangeQuery& query, RangeDone done);

}  // namespace millrace::broker

#endif  // BROKER_RANGE_READ_H_
