// LineLimit: how often lines may be logged that others can cause as often as they like: one per key
// in an interval, with the number of those that were left out before it. More keys than are kept in
// mind share one.
//
// LogThrottle (base/log.h) does this for one line of one owner; here anybody may call, and what is
// limited differs.
//
// Thread: any.
#ifndef RPC_LINE_LIMIT_H_
#define RPC_LINE_LIMIT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace::rpc {

class LineLimit {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(10);
  static constexpr size_t kKeptMax = 64;

  // How many lines of this key were left out since its last one, if there may be one now.
  std::optional<int64_t> Pass(const std::string& key, MonotonicTime now);

 private:
  struct Said {
    // The next line is not before.
    MonotonicTime next = MonotonicTime::FromNanos(INT64_MIN);
    int64_t left_out = 0;
  };

  // Both: under the mutex.
  Said* SaidOf(const std::string& key, MonotonicTime now);
  void Forget(MonotonicTime now);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, Said> said_;
  Said said_of_others_;
};

}  // namespace millrace::rpc

#endif  // RPC_LINE_LIMIT_H_
