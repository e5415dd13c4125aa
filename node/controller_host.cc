#include "node/controller_host.h"

#include <optional>
#include <string>

#include "base/log.h"
#include "base/status.h"
#include "metadata/delta.h"

namespace millrace::node {
namespace {

// Whether the log has, at the position's index, the entry that the position says. A log in which an
// index and its term agree agrees in all before it (Raft's log matching), and the hash names the
// log.
bool IsOnHistory(const metadata::LogPosition& position, uint64_t log_hash,
                 const std::vector<raft::Entry>& entries) {
  if (position.hash != log_hash || entries.empty()) return false;
  const int64_t at = position.index - entries.front().index;
  return at >= 0 && at < static_cast<int64_t>(entries.size()) &&
         entries[static_cast<size_t>(at)].term == position.term;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControllerHost>> ControllerHost::Open(
    const MetadataDir& dir, NodeId node_id, std::shared_ptr<const controller::Settings> settings,
    const Dependencies& dependencies) {
  auto host = std::unique_ptr<ControllerHost>(new ControllerHost(dependencies));
  host->log_hash_ = dir.directory_id().uuid().low();
  host->wal_metrics_ = std::make_unique<raft::WalMetrics>(*dependencies.metrics);
  raft::SingleVoterLog::Options options;
  options.wal.directory = dir.wal_path();
  options.self = {.node = node_id, .directory = dir.directory_id()};
  ASSIGN_OR_RETURN(host->log_, raft::SingleVoterLog::Open(std::move(options),
                                                          {.files = dependencies.files,
                                                           .clock = dependencies.clock,
                                                           .random = dependencies.random,
                                                           .owner = dependencies.owner,
                                                           .disk = dependencies.disk,
                                                           .metrics = host->wal_metrics_.get()}));
  metadata::StoredImage stored;
  if (dependencies.images != nullptr) {
    host->store_ = std::make_shared<metadata::ImageStore>(dependencies.images);
    ASSIGN_OR_RETURN(stored, host->LoadImage());
    host->stored_ = stored.image;
  }
  auto state = std::make_shared<controller::State>();
  state->image = std::move(stored.image);
  state->settings = std::move(settings);
  rsm::HostListener<controller::State>* const listener = host.get();
  host->host_ = std::make_unique<Host>(rsm::HostOptions(), host->log_.get(), listener,
                                       std::move(state), stored.position.index);
  return host;
}

ControllerHost::~ControllerHost() = default;

absl::StatusOr<metadata::StoredImage> ControllerHost::LoadImage() {
  const std::vector<raft::Entry>& entries = log_->recovery().entries;
  ASSIGN_OR_RETURN(std::optional<metadata::StoredImage> stored,
                   store_->Load([&](const metadata::LogPosition& position) {
                     return IsOnHistory(position, log_hash_, entries);
                   }));
  return stored.has_value() ? *std::move(stored) : metadata::StoredImage();
}

void ControllerHost::Start(absl::AnyInvocable<void() &&> led,
                           absl::AnyInvocable<void(const absl::Status&) &&> failed) {
  led_ = std::move(led);
  failed_ = std::move(failed);
  log_->Start(host_.get());
}

void ControllerHost::Save(std::shared_ptr<const metadata::Image> image,
                          std::shared_ptr<const metadata::Delta> delta) {
  // A lone voter's commits are all of its own term once it leads, which is when saving begins.
  const metadata::LogPosition position{
      .index = host_->committed_index(), .term = host_->term(), .hash = log_hash_};
  dependencies_.image_disk->Post(
      [store = store_, image = std::move(image), delta = std::move(delta), position]() mutable {
        // The store is only a cache: without it the next start replays more of the log.
        if (const absl::Status status = store->Save(*image, *delta, position); !status.ok()) {
          LOG_WARN("node", "cannot save the metadata image; the next start replays the log",
                   {{"error", status.ToString()}});
        }
      });
}

void ControllerHost::OnCommitted(LogIndex /*index*/,
                                 const std::shared_ptr<const controller::State>& state,
                                 absl::Span<const rsm::Record> records) {
  // Until this node leads, nobody follows; an entry without records changes no image.
  if (feed_ == nullptr || records.empty()) return;
  feed_->Publish(std::shared_ptr<const metadata::Image>(state, &state->image), records);
}

void ControllerHost::OnBecameLeader(Term term) {
  const std::shared_ptr<const controller::State>& state = host_->committed_state();
  std::shared_ptr<const metadata::Image> image(state, &state->image);
  LOG_INFO("node", "leading the metadata quorum",
           {{"term", term.value()}, {"index", host_->committed_index().value()}});
  feed_ = std::make_unique<metadata::Feed>(image);
  if (store_ != nullptr) {
    Save(image, std::make_shared<const metadata::Delta>(metadata::DeltaBetween(stored_, *image)));
    stored_ = metadata::Image();
    bool first = true;
    feed_->Subscribe(nullptr, [this, first](const metadata::Update& update) mutable {
      // The first update is the image that was saved just now.
      if (!std::exchange(first, false)) Save(update.image, update.delta);
    });
  }
  if (led_) std::exchange(led_, nullptr)();
}

void ControllerHost::OnLostLeadership() {
  LOG_WARN("node", "no longer leading the metadata quorum", {});
}

void ControllerHost::OnFailed(const absl::Status& status) {
  LOG_ERROR("node", "the metadata log has stopped", {{"error", status.ToString()}});
  if (failed_) std::exchange(failed_, nullptr)(status);
}

}  // namespace millrace::node
