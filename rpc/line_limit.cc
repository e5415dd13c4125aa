#include "rpc/line_limit.h"

#include <utility>

namespace millrace::rpc {

std::optional<int64_t> LineLimit::Pass(const std::string& key, MonotonicTime now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Said* const said = SaidOf(key, now);
  if (now < said->next) {
    ++said->left_out;
    return std::nullopt;
  }
  said->next = now + kInterval;
  return std::exchange(said->left_out, 0);
}

LineLimit::Said* LineLimit::SaidOf(const std::string& key, MonotonicTime now) {
  if (const auto known = said_.find(key); known != said_.end()) return &known->second;
  if (said_.size() >= kKeptMax) Forget(now);
  return said_.size() < kKeptMax ? &said_[key] : &said_of_others_;
}

// Those of long ago are news again.
void LineLimit::Forget(MonotonicTime now) {
  for (auto old = said_.begin(); old != said_.end();) {
    if (old->second.next > now) {
      ++old;
      continue;
    }
    said_of_others_.left_out += old->second.left_out;
    old = said_.erase(old);
  }
}

}  // namespace millrace::rpc
