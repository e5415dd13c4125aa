// The block has one byte more than the bound allows. A decoder that fills it has gone too far, and
// one that ends at the bound has not: no decoder needs to know which byte is its last.
#include "record/codec.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::record {

BoundedOutput::BoundedOutput(size_t bytes_max, size_t first_bytes)
    : bytes_max_(bytes_max), block_(std::min(first_bytes, bytes_max) + 1) {}

absl::StatusOr<absl::Span<char>> BoundedOutput::Room() {
  if (size_ > bytes_max_) return TooLarge();
  if (size_ == block_.size()) Grow(std::min(2 * block_.size(), bytes_max_ + 1));
  return absl::MakeSpan(block_.data() + size_, block_.size() - size_);
}

absl::StatusOr<absl::Span<char>> BoundedOutput::Room(size_t bytes) {
  if (size_ > bytes_max_ || bytes > bytes_max_ - size_) return TooLarge();
  // Doubling, so that many small blocks cost no more than linear time.
  if (bytes > block_.size() - size_) {
    Grow(std::min(std::max(2 * block_.size(), size_ + bytes), bytes_max_ + 1));
  }
  return absl::MakeSpan(block_.data() + size_, bytes);
}

void BoundedOutput::Grow(size_t capacity) {
  CHECK_GT(capacity, size_);
  // Uninitialised memory, so that what is never written costs no page.
  Buffer larger(capacity);
  std::memcpy(larger.data(), block_.data(), size_);
  block_ = std::move(larger);
}

absl::StatusOr<Bytes> BoundedOutput::Finish() && {
  // A decoder may end exactly when the extra byte is written.
  if (size_ > bytes_max_) return TooLarge();
  return std::move(block_).Freeze(size_);
}

absl::Status BoundedOutput::TooLarge() const {
  return MakeError(
      ErrorCode::kMessageTooLarge,
      absl::StrCat("the batch's records decompress to more than ", bytes_max_,
                   " bytes, which its size and the limits allow; make smaller batches"),
      {.name = "decompressed_bytes_max", .value = absl::StrCat(bytes_max_)});
}

absl::Status DamagedData(absl::string_view codec, absl::string_view what) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("the batch's ", codec, " data is damaged: ", what),
                   {.name = "compression", .value = std::string(codec)});
}

}  // namespace millrace::record
