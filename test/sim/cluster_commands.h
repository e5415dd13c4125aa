// Commands of administrators of a simulated cluster, as they reach a controller.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_COMMANDS_H_
#define TEST_SIM_CLUSTER_COMMANDS_H_

#include <functional>
#include <utility>

#include "test/sim/cluster_state.h"

namespace millrace::sim {

// `done` is called once: with what the controller said, or why there was no answer (ClusterState's
// Ask); then it may have had an effect, or have it later.
template <class Response, class Command>
void AskController(ClusterState* world, int host, absl::Duration timeout, const Command& command,
                   std::function<void(const absl::StatusOr<Response>&)> done) {
  using Answer = absl::StatusOr<Response>;
  world->Ask<Answer>(
      host, timeout,
      [command](SimServer& server, std::function<void(Answer)> reply) {
        server.node().Submit(command,
                             [reply](Answer response, LogIndex) { reply(std::move(response)); });
      },
      [done = std::move(done)](const absl::StatusOr<Answer>& answer) {
        done(answer.ok() ? *answer : Answer(answer.status()));
      });
}

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_COMMANDS_H_
