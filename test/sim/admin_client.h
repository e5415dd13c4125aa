// AdminClient: one who creates, grows, configures and deletes topics in a simulated world, and
// checks that whatever was acknowledged stays so.
//
// Names are used again after a deletion, so that records of the old topic would show up in the new
// one if ids were ever confused.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_ADMIN_CLIENT_H_
#define TEST_SIM_ADMIN_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "millrace/v1/admin_service.pb.h"
#include "test/sim/world_state.h"

namespace millrace::sim {

class AdminClient {
 public:
  explicit AdminClient(WorldState* world) : world_(*world) {}

  void CreateTopic();
  void DeleteTopic();
  void AddPartitions();
  void AlterConfig();
  // Asks about one topic; the answer must agree with all that was acknowledged before the question.
  // `done` (may be null) is told whether an answer came.
  void CheckTopic(const std::shared_ptr<SimTopic>& topic, std::function<void(bool)> done);

 private:
  void OnDescribed(const std::shared_ptr<SimTopic>& topic, SimTopic known, int incarnation,
                   const v1::TopicDescription& described);
  void CheckEpochs(const std::shared_ptr<SimTopic>& topic, const SimTopic& known, int incarnation,
                   const v1::TopicDescription& described);
  absl::Status Violation(const SimTopic& topic, const std::string& what) const;

  WorldState& world_;
  int next_name_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_ADMIN_CLIENT_H_
