#include "rpc/connection_limits.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace millrace::rpc {

double ConnectionLimits::Burst() const { return std::max(1.0, options_.creations_per_second_max); }

double ConnectionLimits::TokensAt(MonotonicTime now) const {
  if (!started_) return Burst();
  const double seconds = absl::ToDoubleSeconds(now - tokens_time_);
  return std::min(Burst(), tokens_ + std::max(0.0, seconds) * options_.creations_per_second_max);
}

MonotonicTime ConnectionLimits::NextCreation(MonotonicTime now) const {
  if (options_.creations_per_second_max <= 0) return now;
  const double missing = 1.0 - TokensAt(now);
  if (missing <= 0) return now;
  // Rounded up, so that he who waits until then finds the token.
  const double nanos = std::ceil(missing / options_.creations_per_second_max * 1e9);
  return now + absl::Nanoseconds(static_cast<int64_t>(nanos) + 1);
}

ConnectionLimits::Verdict ConnectionLimits::Admit(const std::string& address, MonotonicTime now) {
  tokens_ = TokensAt(now) - 1.0;
  tokens_time_ = now;
  started_ = true;
  if (open_ >= options_.connections_max) return Verdict::kTooMany;
  const auto entry = open_by_address_.find(address);
  const int64_t of_address = entry == open_by_address_.end() ? 0 : entry->second;
  if (of_address >= options_.connections_per_address_max) return Verdict::kTooManyOfAddress;
  AdmitExempt(address);
  return Verdict::kAdmitted;
}

void ConnectionLimits::AdmitExempt(const std::string& address) {
  ++open_;
  ++open_by_address_[address];
}

void ConnectionLimits::Closed(const std::string& address) {
  const auto entry = open_by_address_.find(address);
  CHECK(entry != open_by_address_.end()) << address;
  --open_;
  if (--entry->second == 0) open_by_address_.erase(entry);
}

}  // namespace millrace::rpc
