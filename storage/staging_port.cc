#include "storage/staging_port.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/log_writer.h"

namespace millrace::storage {

absl::Status StagingPort::Admit(size_t bytes) const {
  if (flags_->failed.load(std::memory_order_relaxed)) {
    return MakeError(ErrorCode::kStorageError, "the log directory has failed");
  }
  if (flags_->full.load(std::memory_order_relaxed)) {
    const uint64_t free = flags_->free_bytes.load(std::memory_order_relaxed);
    return MakeError(
        ErrorCode::kStorageFull,
        absl::StrCat("log directory '", flags_->directory, "' is full: ", free, " bytes are free, ",
                     "and log.dir.reserve.bytes keeps ", flags_->reserve_bytes,
                     "; it takes records again when there is room: free space, or delete topics or "
                     "records"),
        {.name = flags_->directory, .value = absl::StrCat(free)});
  }
  // A single batch is always admitted, or a small bound would refuse it for ever.
  if (staged_bytes_ > 0 && staged_bytes_ + static_cast<int64_t>(bytes) > staged_bytes_max_) {
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat(staged_bytes_,
                                  " bytes wait to be written to the disk, and at "
                                  "most ",
                                  staged_bytes_max_, " may: retry"),
                     {.name = "staged_bytes", .value = absl::StrCat(bytes)});
  }
  return absl::OkStatus();
}

void StagingPort::Push(LogOp op) {
  staged_bytes_ += static_cast<int64_t>(op.batches.size());
  ops_.push_back(std::move(op));
  if (flush_posted_) return;
  flush_posted_ = true;
  owner_->Post([self = shared_from_this()] { self->Flush(); });
}

void StagingPort::Flush() {
  flush_posted_ = false;
  bool written = false;
  disk_->TryRun([&] {
    const std::shared_ptr<LogWriter> writer = writer_.lock();
    written = writer != nullptr && writer->AcceptIfQuick(shared_from_this(), &ops_);
  });
  if (written) return;
  disk_->Post([self = shared_from_this(), ops = std::move(ops_)]() mutable {
    if (const std::shared_ptr<LogWriter> writer = self->writer_.lock()) {
      writer->Accept(self, std::move(ops));
    }
  });
  ops_.clear();
}

}  // namespace millrace::storage
