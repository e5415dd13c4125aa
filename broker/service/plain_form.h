// The plain form of requests and answers, for callers that do not want to know of batches: packed
// into a batch before the broker sees it, unpacked after it has answered. Behind the service there
// are only batches.
//
// Thread: any (pure functions).
#ifndef BROKER_SERVICE_PLAIN_FORM_H_
#define BROKER_SERVICE_PLAIN_FORM_H_

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "api/fetch.h"
#include "api/produce.h"
#include "base/ids.h"
#include "base/monotonic_time.h"

namespace millrace::broker {

// Packs the plain records of each partition into one batch; records without a timestamp get `now`.
// Errors: INVALID_REQUEST for a malformed record, or a partition with both forms.
absl::Status PackPlain(api::ProduceRequest* request, WallTime now);

// Whether answers in this format are plain records.
inline bool IsPlain(api::RecordFormat format) { return format != api::RecordFormat::kBatches; }

// Replaces the batches of one partition by their records from the offset asked for on; stops after
// the record that passes `bytes_max`. Batches that cannot be read become the partition's error.
void Unpack(api::FetchPartitionResult* result, size_t bytes_max);

// Sets `out` to `in` with the records from `in.fetch_offset` on instead of its batches, up to the
// one that passes `bytes_max`. Returns the offset to go on with, or nothing if that was all.
std::optional<Offset> UnpackSome(const api::FetchPartitionResult& in, size_t bytes_max,
                                 api::FetchPartitionResult* out);

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_PLAIN_FORM_H_
