// ControllerHost: the controller's machine running on its log: WAL, rsm::Host, the feed of
// committed images, and the image store that makes the next start fast.
//
// It decides nothing itself. Commands come in by Submit from any strand; what is committed goes out
// through feed() in log order.
//
// Thread: the controller executor, except where said otherwise.
#ifndef NODE_CONTROLLER_HOST_H_
#define NODE_CONTROLLER_HOST_H_

#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/random.h"
#include "controller/machine.h"
#include "metadata/feed.h"
#include "metadata/image_store.h"
#include "node/metadata_dir.h"
#include "raft/host/single_voter_log.h"
#include "rsm/host.h"
#include "storage/kv_store.h"

namespace millrace::node {

class ControllerHost final : private rsm::HostListener<controller::State> {
 public:
  struct Dependencies {
    FileSystem* files = nullptr;
    Clock* clock = nullptr;
    Random* random = nullptr;
    MetricRegistry* metrics = nullptr;
    Executor* owner = nullptr;           // The controller strand.
    Executor* disk = nullptr;            // The metadata directory's.
    Executor* image_disk = nullptr;      // Where the image store is written.
    storage::KvStore* images = nullptr;  // Null: every start replays the whole log.
  };
  using Host = rsm::Host<controller::Machine, controller::State>;

  // Blocking: reads the log and the stored image. Errors: those of Wal::Open and of the store.
  static absl::StatusOr<std::unique_ptr<ControllerHost>> Open(
      const MetadataDir& dir, NodeId node_id, std::shared_ptr<const controller::Settings> settings,
      const Dependencies& dependencies);
  ~ControllerHost() override;

  // Replays and takes the lead; `led` is called once, on the owner, when decisions may be asked
  // for. `failed` is called at most once, when the log has stopped for good.
  void Start(absl::AnyInvocable<void() &&> led,
             absl::AnyInvocable<void(const absl::Status&) &&> failed);

  // Decides on a command; `done` gets the reply and the index it is true at, on the owner.
  template <class Request>
  void Submit(const Request& request, Host::Callback<Request> done) {
    host_->Submit(request, rsm::Now{dependencies_.clock->Now(), dependencies_.clock->WallNow()},
                  std::move(done));
  }

  // REQUIRES: led.
  metadata::Feed& feed() { return *feed_; }
  const metadata::Image& committed_image() const { return host_->committed_state()->image; }
  bool leading() const { return host_->leading(); }
  Term term() const { return host_->term(); }
  LogIndex committed_index() const { return host_->committed_index(); }
  const raft::WalRecovery& recovery() const { return log_->recovery(); }

 private:
  explicit ControllerHost(const Dependencies& dependencies) : dependencies_(dependencies) {}

  absl::StatusOr<metadata::StoredImage> LoadImage();
  // Brings the store to `image`, behind all that was asked before.
  void Save(std::shared_ptr<const metadata::Image> image,
            std::shared_ptr<const metadata::Delta> delta);

  // rsm::HostListener.
  void OnCommitted(LogIndex index, const std::shared_ptr<const controller::State>& state,
                   absl::Span<const rsm::Record> records) override;
  void OnBecameLeader(Term term) override;
  void OnLostLeadership() override;
  void OnFailed(const absl::Status& status) override;

  const Dependencies dependencies_;
  // Tells this log's positions from another's in the image store.
  uint64_t log_hash_ = 0;
  // What the store held when it was opened.
  metadata::Image stored_;
  std::unique_ptr<raft::WalMetrics> wal_metrics_;
  std::unique_ptr<raft::SingleVoterLog> log_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<metadata::Feed> feed_;
  // Used on image_disk only, after Open; shared with the tasks there.
  std::shared_ptr<metadata::ImageStore> store_;
  absl::AnyInvocable<void() &&> led_;
  absl::AnyInvocable<void(const absl::Status&) &&> failed_;
};

}  // namespace millrace::node

#endif  // NODE_CONTROLLER_HOST_H_
