// ProduceIntake: produce requests as they come from the network, in pieces. The batches of each
// partition are copied once, into memory of exactly their size that nobody shares: from there they
// travel by reference, and whoever owns them in the end may stamp them in place.
//
// The one decoder of these messages: what it accepts is said in produce_codec.h. Thread: any (pure
// functions). Format: proto/millrace/v1/log_service.proto.
#ifndef API_CODEC_PRODUCE_INTAKE_H_
#define API_CODEC_PRODUCE_INTAKE_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "api/produce.h"
#include "base/bytes.h"
#include "base/memory_budget.h"

namespace millrace::api {

// `reservation` holds the size of the message, or nothing; of it each partition's memory takes its
// own size, and what is left stays the caller's. Errors: INVALID_REQUEST, naming the message type.
absl::StatusOr<ProduceRequest> TakeInProduceRequest(absl::Span<const Slice> message,
                                                    Reservation* reservation);
absl::StatusOr<ProduceStreamRequest> TakeInProduceStreamRequest(absl::Span<const Slice> message,
                                                                Reservation* reservation);

}  // namespace millrace::api

#endif  // API_CODEC_PRODUCE_INTAKE_H_
