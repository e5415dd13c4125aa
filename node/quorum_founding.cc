#include "node/quorum_founding.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "node/founding_file.h"

namespace millrace::node {
namespace {

constexpr char kComponent[] = "founding";

}  // namespace

QuorumFounding::QuorumFounding(QuorumFoundingOptions options, raft::FoundingRecord record,
                               const Deps& deps)
    : options_(std::move(options)),
      deps_(deps),
      core_(options_.self, options_.configured, std::move(record), options_.core, deps_.random,
            deps_.clock->Now()),
      timer_(deps_.executor,
             [this] {
               core_.Tick(deps_.clock->Now());
               Drain();
             }),
      report_timer_(deps_.executor, [this] { Report(); }),
      was_founded_(core_.result().has_value()),
      alive_(std::make_shared<QuorumFounding*>(this)) {}

QuorumFounding::~QuorumFounding() = default;

void QuorumFounding::Start(Done done) {
  CHECK(deps_.executor->IsCurrent());
  done_ = std::move(done);
  if (!was_founded_) {
    LOG_INFO(kComponent, "founding or finding the cluster",
             {{"node", options_.self.node},
              {"directory", options_.self.directory},
              {"controllers", raft::NodeNames(core_.view().Nodes())}});
    report_timer_.Set(deps_.clock->Now() + options_.first_report_after);
  }
  // Not within this call: the caller may not be ready for the result.
  deps_.executor->Post([alive = std::weak_ptr(alive_)] {
    if (const auto self = alive.lock()) (*self)->Drain();
  });
}

raft::FoundingState QuorumFounding::OnExchange(const raft::FoundingState& theirs) {
  CHECK(deps_.executor->IsCurrent());
  raft::FoundingState mine = core_.state();
  if (raft::CheckFoundingState(theirs).ok() && !failed_) {
    core_.OnQuestion(theirs, deps_.clock->Now());
    // Last: it may destroy this object. What is durable it does not change.
    Drain();
  }
  return mine;
}

void QuorumFounding::Drain() {
  if (failed_) return;
  while (true) {
    raft::FoundingReady ready = core_.TakeReady();
    if (ready.empty()) break;
    if (ready.persist.has_value()) Persist(*std::move(ready.persist));
    for (const raft::FoundingQuestion& question : ready.ask) Ask(question);
  }
  timer_.Set(core_.next_deadline());
  if (const std::optional<raft::FoundingResult> result = core_.result()) Finish(*result);
}

void QuorumFounding::Persist(raft::FoundingRecord record) {
  deps_.disk->Post([alive = std::weak_ptr(alive_), files = deps_.files, executor = deps_.executor,
                    path = options_.metadata_path, record = std::move(record)] {
    absl::Status status = WriteFoundingFile(*files, path, record);
    executor->Post([alive, status = std::move(status)] {
      if (const auto self = alive.lock()) (*self)->OnPersisted(status);
    });
  });
}

void QuorumFounding::OnPersisted(const absl::Status& status) {
  if (!status.ok()) {
    // What is on the disk is not known; a promise may be there that nobody was told of. That is
    // safe, and the next start reads it.
    failed_ = true;
    timer_.Clear();
    return Finish(Annotate(status, "the promise to found a cluster could not be written"));
  }
  core_.Persisted(deps_.clock->Now());
  const raft::FoundingRecord& record = core_.view().record;
  if (record.phase == raft::FoundingPhase::kPrepared) {
    LOG_INFO(kComponent, "all controllers are there; promised to found a cluster with them",
             {{"cluster", raft::FoundingClusterId(record.voters)},
              {"controllers", raft::NodeNames(record.voters)}});
  }
  Drain();
}

void QuorumFounding::Ask(const raft::FoundingQuestion& question) {
  deps_.channel->Exchange(
      question.address, core_.state(),
      [alive = std::weak_ptr(alive_), question](absl::StatusOr<raft::FoundingState> theirs) {
        if (const auto self = alive.lock()) (*self)->OnAnswer(question, std::move(theirs));
      });
}

void QuorumFounding::OnAnswer(const raft::FoundingQuestion& question,
                              absl::StatusOr<raft::FoundingState> theirs) {
  CHECK(deps_.executor->IsCurrent());
  if (failed_) return;
  const MonotonicTime now = deps_.clock->Now();
  if (theirs.ok() && raft::CheckFoundingState(*theirs).ok()) {
    core_.OnAnswer(question.peer, question.round, *theirs, now);
  } else {
    // Somebody is there, and it is not who was asked for; or this node is not who they take in.
    const bool untrusted = CodeOf(theirs.status()) == ErrorCode::kAuthorizationFailed ||
                           DetailOf(theirs.status()).name == raft::kUntrustedPeer;
    if (untrusted && strangers_.insert(question.peer).second) {
      LOG_ERROR(kComponent, "a controller of controller.quorum.voters is not to be trusted",
                {{"controller", question.peer},
                 {"address", question.address},
                 {"reason", theirs.status().message()}});
    }
    core_.OnNoAnswer(question.peer, question.round, now);
  }
  Drain();
}

std::string QuorumFounding::Progress() const {
  if (core_.result().has_value()) return "";
  const std::vector<absl::Status> problems = raft::FoundingProblems(core_.view());
  if (!problems.empty()) return std::string(problems.front().message());
  const std::vector<NodeId> silent = raft::FoundingSilent(core_.view());
  if (silent.empty()) {
    return absl::StrCat("agreeing with controllers ", raft::NodeNames(core_.view().Nodes()),
                        " on the cluster");
  }
  return absl::StrCat("waiting for controller", silent.size() == 1 ? " " : "s ",
                      raft::NodeNames(silent), " of controller.quorum.voters");
}

void QuorumFounding::Report() {
  if (failed_ || core_.result().has_value()) return;
  const std::vector<absl::Status> problems = raft::FoundingProblems(core_.view());
  for (const absl::Status& problem : problems) {
    LOG_WARN(kComponent, "something keeps this controller out of the quorum",
             {{"code", ErrorCodeName(CodeOf(problem))}, {"problem", problem.message()}});
  }
  const std::vector<NodeId> silent = raft::FoundingSilent(core_.view());
  if (!silent.empty()) {
    LOG_INFO(kComponent, "waiting for controllers of controller.quorum.voters",
             {{"controllers", raft::NodeNames(silent)}});
  } else if (problems.empty()) {
    LOG_INFO(kComponent, "all controllers answer; agreeing on the cluster",
             {{"controllers", raft::NodeNames(core_.view().Nodes())}});
  }
  report_timer_.Set(deps_.clock->Now() + options_.report_interval);
}

void QuorumFounding::Finish(absl::StatusOr<raft::FoundingResult> result) {
  if (done_ == nullptr) return;
  report_timer_.Clear();
  if (result.ok() && !was_founded_) {
    LOG_INFO(kComponent,
             result->joined() ? "belongs to a cluster as a newcomer, which waits to be added"
                              : "belongs to a cluster as one of its founding voters",
             {{"cluster", result->cluster_id}, {"controllers", raft::NodeNames(result->voters)}});
  }
  // Last: it may destroy this object.
  std::exchange(done_, nullptr)(std::move(result));
}

}  // namespace millrace::node
