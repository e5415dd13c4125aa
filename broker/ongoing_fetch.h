// OngoingFetch: a unary Fetch that has not been answered, as its service holds it: read here
// (fetch_call.h), or by others as well (forwarder.h).
//
// Held weakly: it keeps itself alive until it has answered. Thread: the edge that took the call.
#ifndef BROKER_ONGOING_FETCH_H_
#define BROKER_ONGOING_FETCH_H_

namespace millrace::broker {

class OngoingFetch {
 public:
  virtual ~OngoingFetch() = default;
  // The client has gone: lets go of everything, and never answers.
  virtual void Cancel() = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_ONGOING_FETCH_H_
