// WatchDoubt: whether the server that pushes leaders is still to be relied on. It may be stopped
// without its connection ending, or cut off from the controllers while it serves on: then nothing
// is pushed although there is news.
//
// Whoever learns that there must be news (a leader is lost, does not lead any more, or is known by
// a hint only) raises the doubt; any push ends it. If none comes in time, leaders are to be watched
// at another server.
//
// Thread: its owner's.
#ifndef CLIENT_WATCH_DOUBT_H_
#define CLIENT_WATCH_DOUBT_H_

#include <algorithm>

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace::client {

class WatchDoubt {
 public:
  // `patience`: how long nothing may be pushed when there must be something to tell.
  explicit WatchDoubt(absl::Duration patience) : patience_(patience) {}

  // Something must be pushed soon. A doubt that there is already is not put off.
  void Raise(MonotonicTime now) { until_ = std::min(until_, now + patience_); }
  // Something was pushed.
  void End() { until_ = MonotonicTime::Never(); }
  // Whether nothing was pushed in time: true once for each doubt.
  bool TakeConfirmed(MonotonicTime now) {
    if (now < until_) return false;
    End();
    return true;
  }

  // When TakeConfirmed is wanted; Never without a doubt.
  MonotonicTime deadline() const { return until_; }

 private:
  const absl::Duration patience_;
  MonotonicTime until_ = MonotonicTime::Never();
};

}  // namespace millrace::client

#endif  // CLIENT_WATCH_DOUBT_H_
