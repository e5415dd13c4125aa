// ConnectTime: how long an admin's attempts to connect may take (KIP-601). It grows where nobody
// answers, while one that is off does not keep the others waiting for long; what has helped once
// stays.
//
// Each time is another channel (rpc/channel_pool.h), which stays until this begins anew: so there
// are only a few times, whatever is left until a deadline.
//
// Thread: any one.
#ifndef CLIENT_CONNECT_TIME_H_
#define CLIENT_CONNECT_TIME_H_

#include <cstddef>

#include "absl/time/time.h"

namespace millrace::client {

class ConnectTime {
 public:
  // `timeout`: of a whole call, which may go to each of the servers.
  ConnectTime(size_t servers, absl::Duration timeout);

  absl::Duration max() const { return max_; }
  // For another attempt, which may take `time` with the answer. False: it would not be longer.
  bool GrowWithin(absl::Duration time);
  // Nothing has helped: begins anew.
  void Reset();

 private:
  const absl::Duration at_first_;
  absl::Duration max_;
};

}  // namespace millrace::client

#endif  // CLIENT_CONNECT_TIME_H_
