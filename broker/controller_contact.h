// ControllerContact: when this broker was last in touch with the controllers (S-33). Its leaders
// look at it: one that has heard nothing for a session timeout may have been replaced.
//
// Thread: its shard's executor.
#ifndef BROKER_CONTROLLER_CONTACT_H_
#define BROKER_CONTROLLER_CONTACT_H_

#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace::broker {

struct ControllerContact {
  // At this time the controllers had not fenced this broker. Never: it cannot be cut off from them.
  MonotonicTime last = MonotonicTime::Never();
  // broker.session.timeout.ms: after so long without contact they fence it.
  absl::Duration session_timeout = absl::Seconds(3);

  bool IsOld(MonotonicTime now) const { return now - last >= session_timeout; }
};

}  // namespace millrace::broker

#endif  // BROKER_CONTROLLER_CONTACT_H_
