// RecordView and Header: one record as it is read, borrowed from the memory of its batch.
//
// Nothing here owns bytes. Keys and values stay valid as long as the bytes of the batch (if it is
// not compressed) or the reader's decompressed bytes (if it is); `headers` only until the reader's
// next step. Whoever keeps a record longer copies it or holds on to the memory.
//
// Thread: any (values).
#ifndef RECORD_RECORD_H_
#define RECORD_RECORD_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::record {

// A record's header (KIP-82): keys may repeat and need not be UTF-8, a value may be null.
struct Header {
  Slice key;
  absl::optional<Slice> value;

  friend bool operator==(const Header& a, const Header& b) {
    return a.key == b.key && a.value == b.value;
  }
};

// One record. A missing key or value is "null", which is something else than empty.
struct RecordView {
  Offset offset;
  int64_t timestamp_ms = 0;  // by the batch's timestamp type: the producer's or the leader's clock
  absl::optional<Slice> key;
  absl::optional<Slice> value;
  absl::Span<const Header> headers;
  // The record as it is encoded, its length included: for checks of size and for tools.
  size_t encoded_bytes = 0;
};

}  // namespace millrace::record

#endif  // RECORD_RECORD_H_
