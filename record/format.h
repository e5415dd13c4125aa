// The layout of Kafka's record batch v2 (magic 2), as constants: what is where, and what each
// attribute bit means.
//
// A batch is the unit that is checksummed, appended, replicated, stored and fetched. It begins with
// a header of 61 bytes, big-endian, followed by the records: either one after another, or as one
// compressed run of bytes. The CRC-32C covers everything after the field `crc`; the four fields
// before it may be stamped by a broker without touching a checksum. docs/formats/record_batch.md
// has the byte table and an example; the names are those of KIP-98 and KIP-82.
//
// Not here: reading (batch_view.h, record_reader.h), writing (batch_builder.h).
//
// Thread: any (constants and pure functions).
#ifndef RECORD_FORMAT_H_
#define RECORD_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace millrace::record {

// Positions of the header's fields, in bytes from the start of the batch.
inline constexpr size_t kBaseOffsetAt = 0;        // int64: offset of the first record
inline constexpr size_t kBatchLengthAt = 8;       // int32: bytes after this field
inline constexpr size_t kLeaderEpochAt = 12;      // int32: epoch of the leader that appended it
inline constexpr size_t kMagicAt = 16;            // int8: always 2
inline constexpr size_t kCrcAt = 17;              // uint32: CRC-32C of all that follows
inline constexpr size_t kAttributesAt = 21;       // int16: the bits below
inline constexpr size_t kLastOffsetDeltaAt = 23;  // int32: last offset minus base offset
inline constexpr size_t kBaseTimestampAt = 27;    // int64: timestamp of the first record, ms
inline constexpr size_t kMaxTimestampAt = 35;     // int64: largest timestamp, ms
inline constexpr size_t kProducerIdAt = 43;       // int64: -1 for none
inline constexpr size_t kProducerEpochAt = 51;    // int16: -1 for none
inline constexpr size_t kBaseSequenceAt = 53;   // int32: sequence of the first record, -1 for none
inline constexpr size_t kRecordCountAt = 57;    // int32
inline constexpr size_t kBatchHeaderSize = 61;  // the records begin here

// `batch_length` counts from here: total size = batch_length + kBatchLengthEnd.
inline constexpr size_t kBatchLengthEnd = kBatchLengthAt + 4;
// The checksum covers from here to the end of the batch.
inline constexpr size_t kCrcCoversFrom = kAttributesAt;
// Enough first bytes of a batch to learn its size (PeekBatchSize).
inline constexpr size_t kPeekBytes = kBatchLengthEnd;

inline constexpr int8_t kMagic = 2;

// Bits of `attributes`. All others are unknown to this version and refused.
inline constexpr int16_t kCompressionMask = 0x07;
inline constexpr int16_t kTimestampTypeBit = 0x08;  // set: LogAppendTime
inline constexpr int16_t kTransactionalBit = 0x10;
inline constexpr int16_t kControlBit = 0x20;
// Set by compaction: base_timestamp is the time at which tombstones may go (KIP-534).
inline constexpr int16_t kDeleteHorizonBit = 0x40;
inline constexpr int16_t kKnownAttributes = 0x7F;

// A record never takes less: length, attributes, timestamp delta, offset delta, key length, value
// length and header count, one byte each. Bounds the record count by the bytes that are there.
inline constexpr size_t kRecordBytesMin = 7;

inline constexpr int32_t kNoSequence = -1;
inline constexpr int64_t kNoTimestamp = -1;

// How the records of a batch are compressed; the numbers are those of the attribute bits.
enum class Compression : int8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
inline constexpr Compression kAllCompressions[] = {Compression::kNone, Compression::kGzip,
                                                   Compression::kSnappy, Compression::kLz4,
                                                   Compression::kZstd};

// Whose clock the timestamps of a batch are from: the producer's, or the appending leader's. In the
// second case every record's timestamp is the batch's max_timestamp.
enum class TimestampType : int8_t { kCreateTime = 0, kLogAppendTime = 1 };

// "none", "gzip", "snappy", "lz4", "zstd": the words of the config key compression.type.
absl::string_view CompressionName(Compression compression);
// The reverse. Errors: UNSUPPORTED_COMPRESSION_TYPE, with the list of names.
absl::StatusOr<Compression> ParseCompression(absl::string_view name);

// "CreateTime", "LogAppendTime": the words of the config key message.timestamp.type.
absl::string_view TimestampTypeName(TimestampType type);
// The reverse. Errors: INVALID_CONFIG.
absl::StatusOr<TimestampType> ParseTimestampType(absl::string_view name);

inline std::ostream& operator<<(std::ostream& out, Compression compression) {
  return out << CompressionName(compression);
}
inline std::ostream& operator<<(std::ostream& out, TimestampType type) {
  return out << TimestampTypeName(type);
}

}  // namespace millrace::record

#endif  // RECORD_FORMAT_H_
