// QuorumFounding: runs the founding of a quorum of several controllers (raft/host/founding.h): asks
// the others over the network, keeps what is promised on the disk, and says what it waits for.
//
// It decides nothing. When it is done, this node belongs to a cluster; its log is made next, and
// only then the cluster's id goes into meta.properties (MetadataDir::SetClusterId). It lives on
// after that, to answer those who still ask.
//
// Thread: owner's executor; the file is written on the disk executor.
// Source: S-18.
#ifndef NODE_QUORUM_FOUNDING_H_
#define NODE_QUORUM_FOUNDING_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/random.h"
#include "raft/host/founding.h"
#include "raft/host/founding_channel.h"

namespace millrace::node {

struct QuorumFoundingOptions {
  raft::VoterId self;
  // controller.quorum.voters, this node included.
  std::vector<raft::Peer> configured;
  std::string metadata_path;
  raft::FoundingOptions core;
  // What is waited for is logged first after the one, then every so often.
  absl::Duration first_report_after = absl::Seconds(1);
  absl::Duration report_interval = absl::Seconds(5);
};

class QuorumFounding {
 public:
  // All outlive this object.
  struct Deps {
    Clock* clock = nullptr;
    Random* random = nullptr;
    FileSystem* files = nullptr;
    Executor* executor = nullptr;
    Executor* disk = nullptr;
    raft::FoundingChannel* channel = nullptr;
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<raft::FoundingResult>) &&>;

  // `record`: what ReadFoundingFile found. REQUIRES: `metadata_path` is locked by this process
  // (MetadataDir), and CheckFounding passed, unless options.core.join_only is what it found.
  QuorumFounding(QuorumFoundingOptions options, raft::FoundingRecord record, const Deps& deps);
  ~QuorumFounding();

  // `done` runs later, once; never while the others are not there. Errors: the disk's, after which
  // nothing more is asked or promised.
  void Start(Done done);

  // A peer asks, and said `theirs` of itself: what to answer. Also after the end.
  raft::FoundingState OnExchange(const raft::FoundingState& theirs);

  // What a user should know now, for a readiness probe or a refusal: "waiting for controllers 2 and
  // 3 of controller.quorum.voters", a problem, "agreeing with ...", or "" once it is done.
  std::string Progress() const;

 private:
  // Does what the core wants, until it wants nothing.
  void Drain();
  void Persist(raft::FoundingRecord record);
  void OnPersisted(const absl::Status& status);
  void Ask(const raft::FoundingQuestion& question);
  void OnAnswer(const raft::FoundingQuestion& question, absl::StatusOr<raft::FoundingState> theirs);
  void Report();
  void Finish(absl::StatusOr<raft::FoundingResult> result);

  const QuorumFoundingOptions options_;
  const Deps deps_;
  raft::Founding core_;
  DeadlineTimer timer_;
  DeadlineTimer report_timer_;
  Done done_;
  // It belonged to its cluster before this process began.
  const bool was_founded_;
  bool failed_ = false;
  // Whose certificate was not what was expected; told once.
  std::set<NodeId> strangers_;
  // What is on its way elsewhere asks whether this object still lives.
  std::shared_ptr<QuorumFounding*> alive_;
};

}  // namespace millrace::node

#endif  // NODE_QUORUM_FOUNDING_H_
