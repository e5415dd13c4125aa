// QuorumRecovery: makes one voter's stopped directory a quorum of one again, after the majority of
// its quorum was lost for good; by command only (`millrace quorum recover`), never by itself.
//
// All entries that the directory has are kept, those too that are not known to be committed: what
// was acknowledged and reached it is there. What only the lost voters had is lost. So that nobody
// confuses the two histories, the voter comes back
//   - under another directory id, as the only voter, in a higher generation of the quorum: the lost
//     voters are refused if they come back, and stop when they hear of it;
//   - with its log going on kRecoveryIndexJump entries later, and with leader epochs and producer
//     ids above any that the lost voters can have given out.
//
// A crash at any point leaves what it was, or what Recover finishes when it is run again.
//
// Thread: any; blocking.
// Source: S-20.
#ifndef NODE_QUORUM_RECOVERY_H_
#define NODE_QUORUM_RECOVERY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/random.h"
#include "metadata/image.h"
#include "node/metadata_dir.h"
#include "raft/types.h"

namespace millrace::node {

// Far above what the lost voters can have had beyond this one.
inline constexpr int64_t kRecoveryIndexJump = 1'000'000'000;
inline constexpr int32_t kRecoveryEpochJump = 1'000;
inline constexpr int64_t kRecoveryProducerIdJump = 1'000'000'000;

class QuorumRecovery {
 public:
  // What the directory holds.
  struct Findings {
    raft::VoterId self;
    ClusterId cluster_id;
    // How often the quorum was recovered before.
    int64_t generation = 0;
    Term term;
    // Known to be committed here, and the last entry; those between may not have been acknowledged.
    LogIndex committed;
    EntryId last;
    // The quorum that is given up, this voter included.
    raft::VoterSet voters;
    // As of the last entry.
    size_t topics = 0;
    size_t brokers = 0;
    // Another run had begun: only its end is left to do.
    bool begun = false;
  };

  // Reads the metadata directory `path`, and keeps servers out of it while this lives. Changes
  // nothing but its start counter. Errors: DIRECTORY_LOCKED while a server runs on it;
  // INVALID_DIRECTORY if it is no voter's of a cluster; CORRUPT_LOG, with the place, where its log
  // is damaged; UNSUPPORTED_VERSION if a newer program wrote it.
  static absl::StatusOr<std::unique_ptr<QuorumRecovery>> Open(FileSystem* files, std::string path);

  const Findings& findings() const { return findings_; }

  // Gives the other voters up. The result is who this voter is from now on. Errors: the disk's;
  // then it can be run again.
  absl::StatusOr<raft::VoterId> Recover(Random* random);

 private:
  QuorumRecovery(FileSystem* files, std::string path) : files_(files), path_(std::move(path)) {}

  absl::Status Read();
  absl::Status Replay(const std::vector<raft::Entry>& entries);
  absl::Status CheckVoter();
  metadata::Image ImageAfter(LogIndex index) const;

  FileSystem* const files_;
  const std::string path_;
  std::unique_ptr<MetadataDir> dir_;
  // As of the last entry.
  metadata::Image image_;
  Findings findings_;
};

}  // namespace millrace::node

#endif  // NODE_QUORUM_RECOVERY_H_
