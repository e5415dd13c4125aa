// Apply: the image after a log entry, from the image before it and the entry's records.
//
// It is total: whatever the records say is taken as fact, because it was decided and committed.
// Only a record of a newer feature level cannot be applied; hosts ask CheckKnown first and stop the
// node with its error, and Apply itself CHECKs it, so that no record is ever skipped.
//
// Thread: any (pure functions).
#ifndef METADATA_APPLY_H_
#define METADATA_APPLY_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "metadata/image.h"
#include "rsm/record.h"

namespace millrace::metadata {

// Errors: UNSUPPORTED_VERSION naming the first record whose type or version this program does not
// know, CORRUPT_LOG naming the first whose payload cannot be parsed.
absl::Status CheckKnown(absl::Span<const rsm::Record> records);

// The image at `index`. An entry without records only moves the index. REQUIRES:
// CheckKnown(records) is OK; index > image.index().
Image Apply(const Image& image, LogIndex index, absl::Span<const rsm::Record> records);

}  // namespace millrace::metadata

#endif  // METADATA_APPLY_H_
