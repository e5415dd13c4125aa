// Field numbers of the produce messages, for who encodes them (produce_codec.h) and who takes them
// in (produce_intake.h).
//
// Thread: none (constants). Format: proto/millrace/v1/log_service.proto.
#ifndef API_CODEC_PRODUCE_FIELDS_H_
#define API_CODEC_PRODUCE_FIELDS_H_

#include <cstdint>

namespace millrace::api {

// ProducePartition
inline constexpr uint32_t kBatchesField = 4;
inline constexpr uint32_t kLeaderEpochField = 6;
inline constexpr uint32_t kTopicChecksumField = 7;
inline constexpr uint32_t kRestartField = 8;
// ProduceRequest
inline constexpr uint32_t kRequestPartitionsField = 1;
inline constexpr uint32_t kAcksField = 2;
inline constexpr uint32_t kTimeoutField = 3;
inline constexpr uint32_t kClientIdField = 4;
// ProduceStreamRequest and ProduceStreamResponse
inline constexpr uint32_t kRequestNumberField = 1;
inline constexpr uint32_t kStreamBodyField = 2;
inline constexpr uint32_t kForwardField = 3;

}  // namespace millrace::api

#endif  // API_CODEC_PRODUCE_FIELDS_H_
