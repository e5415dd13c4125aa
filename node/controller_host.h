// ControllerHost: the controller's machine running on its log: one voter of the quorum (of one, in
// the embedded default), rsm::Host, snapshots, the feed of committed images, and the image store
// that makes the next start fast.
//
// It decides nothing itself. Commands come in by Submit; what is committed goes out through feed()
// in log order. A start begins with the newest snapshot, or with the stored image if that lies
// further on the log's history (S-36).
//
// Thread: the controller executor, except where said otherwise.
#ifndef NODE_CONTROLLER_HOST_H_
#define NODE_CONTROLLER_HOST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/random.h"
#include "controller/last_copy_reports.h"
#include "controller/leader_watch.h"
#include "controller/machine.h"
#include "metadata/feed.h"
#include "metadata/image_store.h"
#include "node/broker_session_server.h"
#include "node/controller_metrics.h"
#include "node/image_saver.h"
#include "node/metadata_dir.h"
#include "raft/host/quorum_log.h"
#include "rsm/host.h"
#include "storage/kv_store.h"

namespace millrace::node {

// This node's place in the quorum.
struct QuorumPlace {
  raft::Options options;
  // The founding voters; empty for one that joins later.
  raft::VoterSet founders;
  // Where other nodes may be found, beside what the log says.
  std::vector<raft::Peer> known_peers;
  // Null: a quorum of one.
  raft::Transport* transport = nullptr;
  uint64_t wal_segment_bytes = 16 << 20;
  uint64_t snapshot_after_bytes = 20 << 20;
  absl::Duration snapshot_interval = absl::InfiniteDuration();
};

class ControllerHost final : private rsm::HostListener<controller::State>,
                             private raft::SnapshotMachine {
 public:
  struct Dependencies {
    FileSystem* files = nullptr;
    Clock* clock = nullptr;
    Random* random = nullptr;
    MetricRegistry* metrics = nullptr;
    Executor* owner = nullptr;           // The controller strand.
    Executor* disk = nullptr;            // The metadata directory's.
    Executor* image_disk = nullptr;      // Where the image store and snapshots are written.
    storage::KvStore* images = nullptr;  // Null: every start replays the whole log.
    // Told who leads: this node only once decisions may be asked for here.
    controller::LeaderWatch* leaders = nullptr;
    // Told all that is committed, and when this node leads; null: no brokers are served.
    BrokerSessionServer* sessions = nullptr;
    std::unique_ptr<Random> election_random = nullptr;
    // unclean.recovery.timeout.ms
    absl::Duration last_copies_wait = absl::Minutes(5);
  };
  using Host = rsm::Host<controller::Machine, controller::State>;

  // Blocking: reads snapshot, log and stored image. Errors: those of SnapshotStore::Open,
  // QuorumLog::Open and of the store.
  static absl::StatusOr<std::unique_ptr<ControllerHost>> Open(
      const MetadataDir& dir, NodeId node_id, std::shared_ptr<const controller::Settings> settings,
      QuorumPlace place, Dependencies dependencies);
  ~ControllerHost() override;

  // Replays and takes part; `led` is called, on the owner, each time decisions may be asked for
  // here. `failed` is called at most once, when the log has stopped for good.
  void Start(std::function<void()> led, absl::AnyInvocable<void(const absl::Status&) &&> failed);

  // Decides on a command; `done` gets the reply and the index it is true at, on the owner.
  // NOT_CONTROLLER names the leader, where one is known.
  template <class Request>
  void Submit(const Request& request, Host::Callback<Request> done) {
    const rsm::Now now{dependencies_.clock->Now(), dependencies_.clock->WallNow()};
    host_->Submit(request, now, [this, done = std::move(done)](auto reply, LogIndex index) mutable {
      if (!reply.ok()) reply = WithLeader(reply.status());
      std::move(done)(std::move(reply), index);
    });
  }

  // Completed by what other brokers have reported.
  void Submit(internal::v1::ReportLastCopiesRequest request,
              Host::Callback<internal::v1::ReportLastCopiesRequest> done);

  // OK if this node still led after this call, and all that had been committed by then has been
  // told to those who follow. Errors: those of rsm::Host::Read.
  void ConfirmLeadership(absl::AnyInvocable<void(const absl::Status&) &&> done) {
    host_->Read([done = std::move(done)](absl::StatusOr<Host::StatePointer> state,
                                         LogIndex) mutable { std::move(done)(state.status()); });
  }

  // REQUIRES: started.
  raft::QuorumLog& log() { return *log_; }

  // REQUIRES: led at least once.
  metadata::Feed& feed() { return *feed_; }
  const metadata::Image& committed_image() const { return host_->committed_state()->image; }
  bool leading() const { return host_->leading(); }
  Term term() const { return host_->term(); }
  LogIndex committed_index() const { return host_->committed_index(); }
  const raft::WalRecovery& recovery() const { return log_->recovery(); }

 private:
  explicit ControllerHost(Dependencies dependencies)
      : dependencies_(std::move(dependencies)), last_copies_(dependencies_.last_copies_wait) {}

  absl::StatusOr<metadata::StoredImage> LoadSnapshot();
  absl::StatusOr<metadata::StoredImage> LoadImage(const EntryId& snapshot);
  absl::Status WithLeader(const absl::Status& status) const;
  // REQUIRES: the log has failed.
  bool OthersMayLead() const;
  void UpdateLeader();
  std::shared_ptr<const metadata::Image> CommittedImage() const;
  void BeginFeed();
  // Brings the store to `image`, later.
  void Save(std::shared_ptr<const metadata::Image> image,
            std::shared_ptr<const metadata::Delta> delta);

  // rsm::HostListener.
  void OnCommitted(LogIndex index, const std::shared_ptr<const controller::State>& state,
                   absl::Span<const rsm::Record> records) override;
  void OnBecameLeader(Term term) override;
  void OnLostLeadership() override;
  void OnFailed(const absl::Status& status) override;

  // raft::SnapshotMachine.
  Encode Capture() override;
  absl::StatusOr<Install> Decode(LogIndex index, std::string body) override;
  void InstallState(LogIndex index, std::shared_ptr<const controller::State> state);

  const Dependencies dependencies_;
  controller::LastCopyReports last_copies_;
  // Tells this log's positions from another's in the image store.
  uint64_t log_hash_ = 0;
  // Where the log ended when it was opened: what happened up to there is no news.
  LogIndex opened_at_;
  // What the store held when it was opened.
  metadata::Image stored_;
  std::shared_ptr<const controller::Settings> settings_;
  std::unique_ptr<raft::WalMetrics> wal_metrics_;
  std::unique_ptr<raft::QuorumMetrics> quorum_metrics_;
  std::unique_ptr<ControllerMetrics> metrics_;
  std::shared_ptr<raft::SnapshotStore> snapshots_;
  std::unique_ptr<raft::QuorumLog> log_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<metadata::Feed> feed_;
  // Used on image_disk only, after Open, by saver_. Both null without an image store.
  std::shared_ptr<metadata::ImageStore> store_;
  std::unique_ptr<ImageSaver> saver_;
  std::function<void()> led_;
  absl::AnyInvocable<void(const absl::Status&) &&> failed_;
};

}  // namespace millrace::node

#endif  // NODE_CONTROLLER_HOST_H_
