#include "node/quorum_recovery.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/apply.h"
#include "metadata/image_editor.h"
#include "metadata/image_snapshot.h"
#include "node/founding_file.h"
#include "raft/host/snapshot_store.h"
#include "raft/host/wal_recovery.h"
#include "rsm/entry_codec.h"

namespace millrace::node {
namespace {

absl::Status Unusable(const std::string& path, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidDirectory,
                   absl::StrCat("metadata directory '", path, "' cannot be recovered from: ", why),
                   {.name = "metadata.log.dir", .value = path});
}

}  // namespace

absl::StatusOr<std::unique_ptr<QuorumRecovery>> QuorumRecovery::Open(FileSystem* files,
                                                                     std::string path) {
  auto recovery = std::unique_ptr<QuorumRecovery>(new QuorumRecovery(files, std::move(path)));
  RETURN_IF_ERROR(recovery->Read());
  return recovery;
}

absl::Status QuorumRecovery::Read() {
  ASSIGN_OR_RETURN(dir_, MetadataDir::OpenExisting(files_, path_));
  if (dir_->cluster_id().is_zero()) return Unusable(path_, "it belongs to no cluster");
  ASSIGN_OR_RETURN(const raft::FoundingRecord founding,
                   ReadFoundingFile(*files_, path_, dir_->cluster_id()));
  findings_.self = {dir_->node_id(), dir_->directory_id()};
  findings_.cluster_id = dir_->cluster_id();
  findings_.generation = founding.generation;
  findings_.voters.voters = founding.voters;

  ASSIGN_OR_RETURN(const auto snapshots, raft::SnapshotStore::Open(files_, dir_->snapshot_path()));
  if (const auto& newest = snapshots->newest(); newest.has_value()) {
    ASSIGN_OR_RETURN(const std::string body, snapshots->ReadBody(newest->id));
    ASSIGN_OR_RETURN(image_, metadata::DecodeImageSnapshot(body));
    findings_.last = newest->id.last;
    findings_.voters = newest->voters;
  }
  findings_.committed = findings_.last.index;
  raft::WalOptions options;
  options.directory = dir_->wal_path();
  ASSIGN_OR_RETURN(const bool has_log, files_->Exists(options.directory));
  if (!has_log) return Unusable(path_, "it has no log");
  ASSIGN_OR_RETURN(const raft::WalRecovered log,
                   raft::RecoverWal(options, *files_, findings_.last));
  findings_.term = std::max(log.recovery.hard_state.term, findings_.last.term);
  RETURN_IF_ERROR(Replay(log.recovery.entries));
  findings_.committed =
      std::clamp(log.recovery.hard_state.commit, findings_.committed, findings_.last.index);
  findings_.topics = image_.topic_count();
  findings_.brokers = image_.broker_count();
  return CheckVoter();
}

absl::Status QuorumRecovery::Replay(const std::vector<raft::Entry>& entries) {
  for (const raft::Entry& entry : entries) {
    findings_.last = entry.id();
    if (entry.type == raft::EntryType::kVoters) {
      ASSIGN_OR_RETURN(std::vector<raft::Voter> voters, raft::DecodeVoters(entry.payload));
      findings_.voters = {entry.id(), std::move(voters)};
    }
    if (entry.type != raft::EntryType::kPayload) continue;
    ASSIGN_OR_RETURN(const std::vector<rsm::Record> records, rsm::DecodeEntry(entry.payload));
    RETURN_IF_ERROR(metadata::CheckKnown(records));
    // A snapshot of an earlier version may hold more than the entry that it is named after.
    if (records.empty() || entry.index <= image_.index()) continue;
    image_ = metadata::Apply(image_, entry.index, records);
  }
  return absl::OkStatus();
}

absl::Status QuorumRecovery::CheckVoter() {
  const std::vector<raft::Voter>& voters = findings_.voters.voters;
  const raft::Voter* const self = findings_.voters.Find(findings_.self);
  if (self != nullptr && !self->learner) {
    if (voters.size() > 1) return absl::OkStatus();
    return Unusable(path_, "it is that of the only voter, which needs no others; start its server");
  }
  // A snapshot of ours, and then a crash.
  findings_.begun = voters.size() == 1 && voters.front().id.node == findings_.self.node;
  if (findings_.begun) return absl::OkStatus();
  return Unusable(path_, absl::StrCat("node ", findings_.self.node.value(), " with directory ",
                                      findings_.self.directory.ToString(),
                                      " is no voter as its log says; use that of a voter"));
}

// As the recovered quorum begins, at `index`.
metadata::Image QuorumRecovery::ImageAfter(LogIndex index) const {
  metadata::ImageEditor editor(image_);
  editor.SetIndex(index);
  editor.SetNextProducerId(image_.next_producer_id() + kRecoveryProducerIdJump);
  image_.ForEachTopic([&](const metadata::TopicImage& topic) {
    topic.ForEachPartition([&](PartitionIndex partition, const metadata::PartitionImage& before) {
      metadata::PartitionImage after = before;
      after.leader_epoch = before.leader_epoch + kRecoveryEpochJump;
      after.partition_epoch = before.partition_epoch + kRecoveryEpochJump;
      editor.SetPartition({topic.id, partition}, std::move(after));
    });
  });
  return std::move(editor).Finish();
}

absl::StatusOr<raft::VoterId> QuorumRecovery::Recover(Random* random) {
  raft::VoterId self{findings_.self.node, DirectoryId()};
  // First the state, which nobody reads as a voter's yet; the identity last. In between the
  // directory is that of no voter.
  if (findings_.begun) {
    self = findings_.voters.voters.front().id;
  } else {
    self.directory = DirectoryId::Draw(*random);
    const EntryId last{findings_.term, findings_.last.index + kRecoveryIndexJump};
    raft::VoterSet voters;
    voters.id = last;
    voters.voters = {{self, findings_.voters.Find(findings_.self)->address}};
    ASSIGN_OR_RETURN(const auto snapshots,
                     raft::SnapshotStore::Open(files_, dir_->snapshot_path()));
    RETURN_IF_ERROR(
        snapshots->Write(last, voters, metadata::EncodeImageSnapshot(ImageAfter(last.index)))
            .status());
  }
  raft::FoundingRecord founding;
  founding.phase = raft::FoundingPhase::kFounded;
  founding.cluster_id = findings_.cluster_id;
  founding.generation = findings_.generation + 1;
  RETURN_IF_ERROR(WriteFoundingFile(*files_, path_, founding));
  RETURN_IF_ERROR(dir_->BecomeDirectory(self.directory));
  return self;
}

}  // namespace millrace::node
