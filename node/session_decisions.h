// SessionDecisions: what the sessions of brokers want decided, as commands to the controller.
//
// Thread: the controller executor.
#ifndef NODE_SESSION_DECISIONS_H_
#define NODE_SESSION_DECISIONS_H_

#include "controller/broker_sessions.h"
#include "node/broker_session_server.h"
#include "node/controller_host.h"

namespace millrace::node {

// Submits the command; `done` gets its outcome. `host` outlives it.
void CarryOut(ControllerHost* host, const controller::SessionDecision& decision,
              SessionDecided done);

}  // namespace millrace::node

#endif  // NODE_SESSION_DECISIONS_H_
