// The payload of one log entry: the records of one decision, atomic because an entry is.
//
//   version (1 byte, 1) | record count (varint) | records
//   record: type (int16, little-endian) | version (int16) | key size (varint) | key
//           | payload size (varint) | payload
//
// No checksum of its own: the log that carries the entry has one. docs/formats/wal.md shows it.
//
// Thread: any (pure functions).
#ifndef RSM_ENTRY_CODEC_H_
#define RSM_ENTRY_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "rsm/record.h"

namespace millrace::rsm {

inline constexpr uint8_t kEntryCodecVersion = 1;

// The stated maximum of an atomic entry (S-41): what a decision that changes more must split, as
// a metadata transaction would. Kafka's quorum has the same bound for a batch.
inline constexpr size_t kEntryBytesMax = 8 << 20;
// Bounds what a small damaged or hostile entry can make a decoder allocate.
inline constexpr size_t kEntryRecordsMax = 1 << 20;

// Errors: ENTRY_TOO_LARGE beyond kEntryBytesMax or kEntryRecordsMax.
absl::StatusOr<Bytes> EncodeEntry(absl::Span<const Record> records);

// The records share `payload`'s memory. Errors: UNSUPPORTED_FORMAT_VERSION for a version of the
// future; CORRUPT_LOG if the bytes are no such list (their checksum was right, so a program wrote
// them wrongly); ENTRY_TOO_LARGE beyond the bounds.
absl::StatusOr<std::vector<Record>> DecodeEntry(const Bytes& payload);

}  // namespace millrace::rsm

#endif  // RSM_ENTRY_CODEC_H_
