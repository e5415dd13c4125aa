#include "raft/service/reconnect_backoff.h"

#include <algorithm>
#include <cstdint>

namespace millrace::raft {
namespace {

constexpr int64_t kWaitMinMs = 50;
constexpr int64_t kWaitMaxMs = 500;
// 50 ms doubled so often is beyond the maximum.
constexpr int kFailuresMax = 5;

}  // namespace

absl::Duration ReconnectBackoff::Next() {
  if (failures_ == 0) {
    ++failures_;
    return absl::ZeroDuration();
  }
  // Drawn from [half, whole], where the whole doubles.
  const int64_t whole = std::min(kWaitMaxMs, kWaitMinMs << failures_);
  const int64_t half = std::max(kWaitMinMs, whole / 2);
  failures_ = std::min(failures_ + 1, kFailuresMax);
  return absl::Milliseconds(
      half + static_cast<int64_t>(random_->Below(static_cast<uint64_t>(whole - half + 1))));
}

}  // namespace millrace::raft
