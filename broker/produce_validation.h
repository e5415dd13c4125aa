// What a leader checks of produced batches before it appends them: that they are batches, of this
// partition (S-24), within the topic's limits, and free of what only brokers may write.
//
// One pass over the bytes, for their CRC; no record is looked at. Not here: epochs and roles (the
// replica's), sequences of idempotent producers (storage's).
//
// Thread: any (pure functions).
#ifndef BROKER_PRODUCE_VALIDATION_H_
#define BROKER_PRODUCE_VALIDATION_H_

#include <cstdint>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/topic_settings.h"
#include "record/batch_view.h"

namespace millrace::broker {

// The batches of one partition of a request; nearly always one.
using ProducedBatches = absl::InlinedVector<record::BatchView, 2>;

// Views into `batches`, all checked. Errors: INVALID_RECORD if there are none; CORRUPT_MESSAGE;
// MESSAGE_TOO_LARGE with the limit; INVALID_RECORD (control batches, holes, several batches of
// which one is idempotent); INVALID_TIMESTAMP; UNSUPPORTED_VERSION; UNSUPPORTED_COMPRESSION_TYPE;
// WRONG_TOPIC_CHECKSUM if `topic_checksum` is given and does not fit.
absl::StatusOr<ProducedBatches> ValidateProduce(Slice batches, const TopicPartition& partition,
                                                std::optional<uint32_t> topic_checksum,
                                                const TopicSettings& settings, WallTime now);

}  // namespace millrace::broker

#endif  // BROKER_PRODUCE_VALIDATION_H_
