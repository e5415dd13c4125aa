// QuorumClients: those who create, delete, alter and describe topics at a simulated quorum, each
// one call at a time, and write down what they asked and were told.
//
// A few names, so that they meet. A call goes to any controller; one that is refused before
// anything was appended is tried again elsewhere. One whose outcome is unknown is tried again only
// if it has an id, as half of the changes do: then it must be answered as the first time (S-39).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_QUORUM_CLIENTS_H_
#define TEST_SIM_QUORUM_CLIENTS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/error_code.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "millrace/v1/admin_service.pb.h"
#include "test/sim/quorum_history.h"
#include "test/sim/quorum_world.h"

namespace millrace::sim {

class QuorumClients {
 public:
  QuorumClients(QuorumWorld* world, uint64_t seed);
  ~QuorumClients();

  // Registers the brokers that topics need. False if that does not succeed within `bound`.
  [[nodiscard]] bool Prepare(absl::Duration bound);
  // `count` clients begin to call, with pauses up to `pause_max`.
  void Begin(int count, absl::Duration pause_max);
  // What has begun goes on to its end.
  void Stop() { stopped_ = true; }
  bool idle() const { return busy_ == 0; }
  // Asks about each topic once. False if no answer comes within `bound`.
  [[nodiscard]] bool DescribeAll(absl::Duration bound);

  const TopicHistory& history() const { return history_; }
  int64_t answered() const { return answered_; }

 private:
  // What became of one attempt.
  struct Outcome {
    enum class Kind { kAnswered, kNotDone, kUnknown };
    Kind kind = Kind::kUnknown;
    TopicAnswer answer = {};
    // Where to try next.
    NodeId hint = kNoNode;
  };
  using Done = std::function<void(const Outcome&)>;
  struct Client {
    TopicCall call;
    TopicHistory::CallId id = 0;
    MonotonicTime deadline;
    // Raised by each attempt, and by its end: what belongs to an earlier one is dropped.
    int attempt = 0;
    bool once = false;
    int target = 0;
    // Of its requests' ids.
    uint64_t number = 0;
    int64_t last_sequence = 0;
    // Of the call, where it has one.
    std::optional<v1::RequestId> request_id;
    // An attempt may have taken effect.
    bool unknown = false;
  };

  void Next(Client* client);
  void Draw(TopicCall* call);
  void Call(Client* client);
  void Attempt(Client* client);
  void OnOutcome(Client* client, int attempt, const Outcome& outcome);
  // What has become of the call is not known, and will not be asked any more.
  void GiveUp(Client* client);
  void End(Client* client);
  // At a controller, on its strand.
  void Submit(QuorumServer& server, const TopicCall& call, const std::optional<v1::RequestId>& id,
              Done done);
  // `find` takes code and topic out of the answer.
  template <class Request, class Find>
  void Ask(QuorumServer& server, const Request& request, Find find, Done done);
  Outcome OutcomeOf(QuorumServer& server, const absl::Status& status, ErrorCode result,
                    const TopicRegister& found);
  absl::Duration Delay();
  // Wall clocks run faster here, so that replies get old within a run.
  rsm::Now Now() const;
  Client* AddClient();

  QuorumWorld& world_;
  SimRandom random_;
  TopicHistory history_;
  std::unique_ptr<SimExecutor> strand_;
  std::vector<std::unique_ptr<Client>> clients_;
  absl::Duration pause_max_;
  bool stopped_ = false;
  int busy_ = 0;
  uint64_t last_id_ = 0;
  int64_t last_value_ = 0;
  int64_t answered_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_CLIENTS_H_
