// AdminRoute: the way of one request to the active controller, whichever node it came to. Pure: it
// is told what was answered, who leads and how late it is, and says what to do next.
//
// A request is asked of this node's own controller first. NOT_CONTROLLER promises that nothing was
// appended, so it is then passed on to the leader, once (S-40): what the leader answers is the
// answer. While no leader is known, or the one that is cannot be reached, the request waits for the
// next. A change whose outcome is unknown is never sent again (S-23).
//
// Thread: its owner's (AdminForwarder).
#ifndef NODE_SERVICE_ADMIN_ROUTE_H_
#define NODE_SERVICE_ADMIN_ROUTE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/status.h"

namespace millrace::node {

struct AdminRouteOptions {
  // How long a request waits for a leader; an election takes about a second.
  absl::Duration leader_wait_max = absl::Seconds(5);
  // Before the caller's deadline by so much, so that it hears why instead of nothing.
  absl::Duration answer_margin = absl::Milliseconds(100);
  // A leader that refused, or could not be reached, is asked again after this unless another is
  // elected first.
  absl::Duration retry_after = absl::Milliseconds(500);
  // How long the answer of a leader is awaited after another was elected.
  absl::Duration replaced_leader_grace = absl::Seconds(1);
};

class AdminRoute {
 public:
  struct Request {
    // Another node passed it on: it is answered here, whatever that is.
    bool forwarded = false;
    // It only looks, so that it may be sent again.
    bool read_only = false;
    MonotonicTime deadline = MonotonicTime::Never();
  };
  enum class Kind { kAskHere, kForward, kWait, kReply };
  struct Step {
    Kind kind = Kind::kWait;
    // Of kForward: "host:port". A forwarded call that is still under way is given up.
    std::string address = {};
    // Of kWait and kForward: OnTime is due then, if nothing happened before.
    MonotonicTime until = MonotonicTime::Never();
    // Of kReply: the error to answer with; OK: pass on what was answered, unchanged.
    absl::Status status = {};
  };
  // How a forwarded call ended.
  enum class Forwarded {
    kAnswered,
    // The leader has never seen the request.
    kNotSent,
    // The connection broke: the leader may have seen it.
    kUnknown,
  };

  // The first step is kAskHere.
  AdminRoute(const AdminRouteOptions& options, NodeId self, Request request, MonotonicTime now);

  // This node's own controller has answered.
  Step OnAnsweredHere(const absl::Status& answer, const LeaderHint& known, MonotonicTime now);
  // The forwarded call has ended, with `answer`.
  Step OnForwarded(Forwarded how, const absl::Status& answer, const LeaderHint& known,
                   MonotonicTime now);
  // What is known of the leader has changed.
  Step OnLeader(const LeaderHint& known, MonotonicTime now);
  Step OnTime(const LeaderHint& known, MonotonicTime now);

 private:
  enum class State { kAskedHere, kForwarded, kReplaced, kWaiting, kDone };

  bool LeadsHere() const;
  // What the watch says counts unless it is older than what an answer said.
  void AdoptKnown(const LeaderHint& known);
  // What an answer says counts where it is newer, or where nobody is known to lead: it may have no
  // epoch.
  void AdoptHint(const LeaderHint& hint);
  // To the leader, if one is known.
  Step GoToLeader(MonotonicTime now);
  Step Wait(MonotonicTime now);
  Step WaitFor(State state, MonotonicTime until);
  Step Reply(absl::Status status);
  absl::Status NoController() const;
  absl::Status OutcomeUnknown() const;

  const AdminRouteOptions options_;
  const NodeId self_;
  const Request request_;
  // When to wait no longer for a leader.
  MonotonicTime give_up_;
  State state_ = State::kAskedHere;
  // When OnTime is due.
  MonotonicTime until_ = MonotonicTime::Never();
  // The newest leader that an answer or the watch has named.
  LeaderHint leader_;
  // Whom the request was passed on to.
  LeaderHint asked_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_ADMIN_ROUTE_H_
