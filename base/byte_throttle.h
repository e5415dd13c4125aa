// ByteThrottle: a token bucket for bytes: says when more may be spent, so that over time no more
// than a rate is. Pure: it is told the time, and offers when to ask again.
//
// Who may spend at all may spend more than there is, because a batch cannot be cut: the bucket then
// is in debt, and nothing more goes until that is paid. What is saved up while nothing is spent is
// bounded by a tenth of a second's worth.
//
// Thread: its owner's.
#ifndef BASE_BYTE_THROTTLE_H_
#define BASE_BYTE_THROTTLE_H_

#include <cstdint>

#include "base/monotonic_time.h"

namespace millrace {

class ByteThrottle {
 public:
  // Counts from now on; 0: no limit, and a debt is forgotten. Else a debt stays, and is paid at the
  // new rate. REQUIRES: not negative.
  void SetRate(int64_t bytes_per_s, MonotonicTime now);
  int64_t rate() const { return bytes_per_s_; }
  bool is_limited() const { return bytes_per_s_ > 0; }

  // Bytes that may be spent now; at most 0: none, until full_at(). REQUIRES: is_limited().
  int64_t Available(MonotonicTime now);
  // Spends; less than 0 gives back what was spent before and not needed. Free without a limit.
  void Spend(int64_t bytes, MonotonicTime now);
  // When there is as much as there can be: then it is worth to begin again. REQUIRES: is_limited().
  MonotonicTime full_at() const;

 private:
  double capacity() const;
  void Refill(MonotonicTime now);

  int64_t bytes_per_s_ = 0;
  // As of `at_`; negative: a debt.
  double tokens_ = 0;
  MonotonicTime at_;
};

}  // namespace millrace

#endif  // BASE_BYTE_THROTTLE_H_
