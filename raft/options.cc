#include "raft/options.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

absl::Status Refuse(absl::string_view name, const std::string& value, absl::string_view rule) {
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(name, " is ", value, "; it must ", rule),
                   {.name = std::string(name), .value = value});
}

absl::Status CheckRange(absl::string_view name, absl::Duration min, absl::Duration max) {
  if (min > absl::ZeroDuration() && min < max) return absl::OkStatus();
  return Refuse(name, absl::StrCat(absl::FormatDuration(min), " to ", absl::FormatDuration(max)),
                "be a range of positive times: without jitter elections repeat themselves");
}

}  // namespace

absl::Status Options::Validate() const {
  RETURN_IF_ERROR(CheckRange("election_timeout", election_timeout_min, election_timeout_max));
  RETURN_IF_ERROR(CheckRange("unreachable_delay", unreachable_delay_min, unreachable_delay_max));
  RETURN_IF_ERROR(CheckRange("campaign_timeout", campaign_timeout_min, campaign_timeout_max));
  // Two heartbeats may be lost before a follower doubts its leader.
  if (heartbeat_interval <= absl::ZeroDuration() || heartbeat_interval * 3 > election_timeout_min) {
    return Refuse("heartbeat_interval", absl::FormatDuration(heartbeat_interval),
                  "be positive and at most a third of election_timeout_min");
  }
  const struct {
    absl::string_view name;
    uint64_t value;
  } bounds[] = {
      {"append_bytes_max", append_bytes_max},
      {"window_bytes_max", window_bytes_max},
      {"window_messages_max", window_messages_max},
      {"uncommitted_bytes_max", uncommitted_bytes_max},
      {"unpersisted_bytes_max", unpersisted_bytes_max},
      {"log_bytes_max", log_bytes_max},
      {"committed_bytes_max", committed_bytes_max},
      {"snapshot_chunk_bytes", snapshot_chunk_bytes},
      {"reads_max", reads_max},
  };
  for (const auto& bound : bounds) {
    if (bound.value == 0) return Refuse(bound.name, "0", "be positive: nothing would ever fit");
  }
  // What is not committed cannot be in a snapshot, and must leave room for what is.
  if (log_bytes_max / 2 < uncommitted_bytes_max) {
    return Refuse("log_bytes_max", absl::StrCat(log_bytes_max),
                  "be at least twice uncommitted_bytes_max, or the log could be full for ever");
  }
  return absl::OkStatus();
}

}  // namespace millrace::raft
