// DamagedLeaders: gives up what this broker leads and cannot serve, because the log was found
// damaged when the broker started: proposes the in-sync set without itself, so that the controller
// elects one of the others, or else an eligible leader, and holds this one for none (S-35). Else
// nobody would: the others follow a leader that is registered and alive.
//
// Nothing was acknowledged in a leader epoch in which the log was never open here: those in sync
// have all there is. Proposed again, ever more rarely, until the metadata shows another leader. A
// log that is open is its Replica's business (broker/isr.h).
//
// Thread: `home`.
#ifndef BROKER_DAMAGED_LEADERS_H_
#define BROKER_DAMAGED_LEADERS_H_

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/replica_messages.h"
#include "metadata/image.h"

namespace millrace::broker {

class DamagedLeaders {
 public:
  struct Deps {
    NodeId self = kNoNode;
    Executor* home = nullptr;
    Clock* clock = nullptr;
    // As IsrProposer::Propose.
    std::function<void(const std::vector<IsrProposal>&)> propose;
  };
  // Before what is not shown is proposed again; doubled each time.
  static constexpr absl::Duration kRetryMin = absl::Milliseconds(100);
  static constexpr absl::Duration kRetryMax = absl::Seconds(5);

  explicit DamagedLeaders(Deps deps);

  // The log was opened, or found to be damaged.
  void OnOpened(const TopicPartition& partition, bool damaged);
  void OnMetadata(std::shared_ptr<const metadata::Image> image);

 private:
  // What is led here, and could be led elsewhere.
  std::vector<IsrProposal> Due() const;
  void ProposeSoon();
  void Propose();

  const Deps deps_;
  std::set<TopicPartition> damaged_;
  std::shared_ptr<const metadata::Image> image_;
  absl::Duration retry_ = kRetryMin;
  DeadlineTimer timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_DAMAGED_LEADERS_H_
