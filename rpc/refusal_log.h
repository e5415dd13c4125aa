// RefusalLog: lines about callers that were refused.
//
// Whoever is refused tries again, often several times a second for as long as it lives: the lines
// are limited (line_limit.h) by address and reason.
//
// Thread: any.
#ifndef RPC_REFUSAL_LOG_H_
#define RPC_REFUSAL_LOG_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/clock.h"
#include "rpc/call_context.h"
#include "rpc/line_limit.h"

namespace millrace::rpc {

class RefusalLog {
 public:
  // Lines are `component`'s, at the level of warnings: "refused a session". `clock` outlives this.
  RefusalLog(const Clock* clock, std::string component, std::string message)
      : clock_(clock), component_(std::move(component)), message_(std::move(message)) {}

  // The caller of `context` was refused for this.
  void Refused(const CallContext& context, const absl::Status& why);

 private:
  const Clock* const clock_;
  const std::string component_;
  const std::string message_;
  LineLimit limit_;
};

}  // namespace millrace::rpc

#endif  // RPC_REFUSAL_LOG_H_
