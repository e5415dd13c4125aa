// SegmentVerify: one segment of a stopped server's log, read to its end: every batch, every record
// if wanted, and both indexes against the batches.
//
// It goes on behind damage where the next batch can be found, so that all of it is listed. It
// changes nothing and trusts nothing.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_SEGMENT_VERIFY_H_
#define TOOLS_MILLRACE_SEGMENT_VERIFY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "record/batch_view.h"
#include "tools/millrace/verify_report.h"

namespace millrace::tools {

struct SegmentToVerify {
  std::string directory;
  Offset base_offset;
  // Not the last of its log: nothing may follow its last batch, and its indexes are complete.
  bool sealed = false;
  // Of the last one: batches below were synced, so that a bad end below is damage, not a torn
  // write. Also how a lone segment is judged whose directory says nothing.
  Offset synced_to;
  // Decode the records too, not only their checksum.
  bool records = false;
  // Called with every valid batch and its position.
  std::function<void(const record::BatchView& batch, uint64_t position)> visit;
};

// The offset after the last valid batch. Errors: those of reading, which are no finding of a file's
// contents.
absl::StatusOr<Offset> VerifySegment(FileSystem& files, const SegmentToVerify& segment,
                                     VerifyReport* report);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SEGMENT_VERIFY_H_
