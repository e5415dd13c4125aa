#include "storage/batch_cursor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status.h"

namespace millrace::storage {

absl::StatusOr<bool> BatchCursor::Fill(uint64_t size) {
  if (next_ + size > end_) return false;
  if (next_ >= buffer_at_ && next_ + size <= buffer_at_ + buffer_.size()) return true;
  const uint64_t wanted = std::min<uint64_t>(std::max<uint64_t>(size, chunk_bytes_), end_ - next_);
  buffer_.resize(wanted);
  buffer_at_ = next_;
  ASSIGN_OR_RETURN(const size_t read, file_.ReadAt(next_, absl::MakeSpan(buffer_)));
  buffer_.resize(read);
  return read >= size;
}

Slice BatchCursor::Buffered() const {
  return Slice(buffer_.data() + (next_ - buffer_at_), buffer_.size() - (next_ - buffer_at_));
}

BatchCursor::Step BatchCursor::Damaged(absl::Status why) {
  damage_ = std::move(why);
  return Step::kDamaged;
}

absl::StatusOr<BatchCursor::Step> BatchCursor::Next() {
  position_ = next_;
  batch_.reset();
  if (next_ >= end_) return Step::kEnd;
  ASSIGN_OR_RETURN(const bool head, Fill(record::kPeekBytes));
  if (!head) {
    return Damaged(MakeError(ErrorCode::kCorruptMessage,
                             absl::StrCat("only ", end_ - next_, " bytes at position ", next_)));
  }
  const absl::StatusOr<size_t> size = record::PeekBatchSize(Buffered(), kBatchBytesMax);
  if (!size.ok()) return Damaged(size.status());
  ASSIGN_OR_RETURN(const bool whole, Fill(*size));
  if (!whole) {
    return Damaged(MakeError(
        ErrorCode::kCorruptMessage,
        absl::StrCat("a batch of ", *size, " bytes at position ", next_, " goes beyond the end")));
  }
  absl::StatusOr<record::BatchView> batch = record::BatchView::Parse(Buffered().substr(0, *size));
  if (!batch.ok()) return Damaged(batch.status());
  if (expected_.has_value() && batch->base_offset() != *expected_) {
    return Damaged(
        MakeError(ErrorCode::kCorruptMessage,
                  absl::StrCat("batch at position ", next_, " begins with offset ",
                               batch->base_offset().value(), " instead of ", expected_->value())));
  }
  batch_ = *batch;
  expected_ = batch->next_offset();
  next_ += *size;
  return Step::kBatch;
}

absl::StatusOr<bool> IsZeroFilled(const File& file, uint64_t from, uint64_t end) {
  std::vector<char> buffer(std::min<uint64_t>(end - std::min(from, end), 256 << 10));
  while (from < end) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), end - from);
    ASSIGN_OR_RETURN(const size_t read,
                     file.ReadAt(from, absl::MakeSpan(buffer).subspan(0, wanted)));
    if (read == 0) break;
    if (Slice(buffer.data(), read).find_first_not_of('\0') != Slice::npos) return false;
    from += read;
  }
  return true;
}

}  // namespace millrace::storage
