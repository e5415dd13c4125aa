#include "client/connect_time.h"

#include <algorithm>

#include "rpc/channel_pool.h"

namespace millrace::client {
namespace {

// What an attempt to connect is given while there are other servers to try.
constexpr absl::Duration kConnectSoon = absl::Milliseconds(500);

// Of what one attempt may take, so that the answer still finds time.
absl::Duration MaxWithin(absl::Duration time) { return std::min(rpc::kConnectMax, time * 8 / 10); }

// Where there is nobody else to ask, nothing is gained by giving up early.
absl::Duration AtFirst(size_t servers, absl::Duration timeout) {
  return servers > 1 ? kConnectSoon : std::max(kConnectSoon, MaxWithin(timeout));
}

}  // namespace

ConnectTime::ConnectTime(size_t servers, absl::Duration timeout)
    : at_first_(AtFirst(servers, timeout)), max_(at_first_) {}

bool ConnectTime::GrowWithin(absl::Duration time) {
  const absl::Duration next = std::min(max_ * 2, rpc::kConnectMax);
  if (next <= max_ || next > MaxWithin(time)) return false;
  max_ = next;
  return true;
}

void ConnectTime::Reset() { max_ = std::min(max_, at_first_); }

}  // namespace millrace::client
