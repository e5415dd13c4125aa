// ConnectionLimits: which inbound connections are let in, and when. Knows numbers and addresses,
// not sockets: the Acceptor asks it.
//
// Above the limits in total or per address a connection is refused at once. Above the creation rate
// it is not refused but waits in the kernel's backlog: a token bucket of one second's worth says
// when the next may be accepted. Brokers that have a listener of their own are let in whatever
// clients hold (KIP-402): their connections are only counted.
//
// Thread: the owner's (the accept thread); LimitSetting: any.
#ifndef RPC_CONNECTION_LIMITS_H_
#define RPC_CONNECTION_LIMITS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/monotonic_time.h"

namespace millrace::rpc {

struct ConnectionLimitOptions {
  // max.connections
  int64_t connections_max = 1'000'000;
  // max.connections.per.ip
  int64_t connections_per_address_max = 1'000'000;
  // max.connection.creation.rate, per second. 0: unlimited.
  double creations_per_second_max = 0;
};

// What the limits are to be, where that can be changed while connections come.
class LimitSetting {
 public:
  explicit LimitSetting(ConnectionLimitOptions options) : options_(options) {}
  void Set(ConnectionLimitOptions options) {
    const std::lock_guard<std::mutex> lock(mutex_);
    options_ = options;
  }
  ConnectionLimitOptions Get() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return options_;
  }

 private:
  mutable std::mutex mutex_;
  ConnectionLimitOptions options_;
};

class ConnectionLimits {
 public:
  enum class Verdict { kAdmitted, kTooMany, kTooManyOfAddress };

  // REQUIRES: no option is negative.
  explicit ConnectionLimits(ConnectionLimitOptions options) : options_(options) {}

  // From the next connection on; those that are open stay, also where they are too many now.
  void SetOptions(ConnectionLimitOptions options) { options_ = options; }

  // When the next connection may be taken from the backlog: at or before `now` if at once.
  MonotonicTime NextCreation(MonotonicTime now) const;

  // Judges a connection just accepted from `address` (without port). Spends a creation; counts the
  // connection if it is admitted.
  Verdict Admit(const std::string& address, MonotonicTime now);

  // Counts a connection from `address` that is let in whatever the limits say, and spends nothing.
  void AdmitExempt(const std::string& address);

  // A connection from `address` that was let in has ended.
  void Closed(const std::string& address);

  int64_t open_connections() const { return open_; }

 private:
  // Creations that may happen now without waiting.
  double TokensAt(MonotonicTime now) const;
  double Burst() const;

  ConnectionLimitOptions options_;
  int64_t open_ = 0;
  std::map<std::string, int64_t> open_by_address_;
  // Tokens at tokens_time_; meaningful once started_.
  bool started_ = false;
  double tokens_ = 0;
  MonotonicTime tokens_time_;
};

}  // namespace millrace::rpc

#endif  // RPC_CONNECTION_LIMITS_H_
