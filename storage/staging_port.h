// StagingPort: one owner executor's way to the writer of one directory.
//
// Logs push operations; all that one wake-up of the owner produced travels in one task. The port
// also refuses what the directory cannot take: past the reserve, after a failure, or with too many
// bytes staged and not yet written.
//
// Thread: its owner executor.
#ifndef STORAGE_STAGING_PORT_H_
#define STORAGE_STAGING_PORT_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "storage/log_op.h"

namespace millrace::storage {

class LogWriter;

class StagingPort : public std::enable_shared_from_this<StagingPort> {
 public:
  StagingPort(Executor* owner, Executor* disk, std::weak_ptr<LogWriter> writer,
              std::shared_ptr<const LogDirFlags> flags, int64_t staged_bytes_max)
      : owner_(owner),
        disk_(disk),
        writer_(std::move(writer)),
        flags_(std::move(flags)),
        staged_bytes_max_(staged_bytes_max) {}

  // Whether `bytes` more may be staged. Errors: STORAGE_FULL, STORAGE_ERROR, RESOURCE_EXHAUSTED.
  absl::Status Admit(size_t bytes) const;
  // Sends the operation at the end of this wake-up. An append's bytes count until released.
  void Push(LogOp op);
  // Bytes of appends that were written, or dropped.
  void Release(int64_t bytes) { staged_bytes_ -= bytes; }
  int64_t staged_bytes() const { return staged_bytes_; }
  Executor* owner() const { return owner_; }

 private:
  void Flush();

  Executor* const owner_;
  Executor* const disk_;
  const std::weak_ptr<LogWriter> writer_;
  const std::shared_ptr<const LogDirFlags> flags_;
  const int64_t staged_bytes_max_;
  int64_t staged_bytes_ = 0;
  std::vector<LogOp> ops_;
  bool flush_posted_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_STAGING_PORT_H_
