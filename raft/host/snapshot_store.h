// SnapshotStore: the snapshots of one voter on its disk: the newest two, and one that is being
// received from a leader.
//
// A snapshot has a name only when it is whole, synced and read back: what newest() gives survives
// any crash. The one before it is kept, so that damage to the newest costs a longer replay and not
// the voter; the log must be kept from that one on (raft/snapshots.h, log_needed_after). What the
// body says is the state machine's.
//
// Thread: one owner, its disk executor; every call but newest(), damaged() and receiving() blocks.
//         A write syncs the whole snapshot: on the WAL's own executor commits would wait for it.
// Source: S-09 (synced and verified before anything is recycled; the previous one is kept), S-36
//         (a start is the newest verified snapshot and the WAL).
// Format: docs/formats/snapshot.md.
#ifndef RAFT_HOST_SNAPSHOT_STORE_H_
#define RAFT_HOST_SNAPSHOT_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "raft/host/snapshot_reader.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace millrace::raft {

class SnapshotStore {
 public:
  // A snapshot file that cannot be used, and why.
  struct Damaged {
    std::string path;
    absl::Status status;
  };
  // A reception, and how many bytes of it are durable.
  struct Receiving {
    SnapshotId id;
    uint64_t received = 0;

    friend bool operator==(const Receiving&, const Receiving&) = default;
  };

  // Creates the directory if missing (its parent must exist), removes what unfinished writes left,
  // and reads the newest two snapshots whole. A damaged one is left where it is, is in damaged(),
  // and the next older one takes its place; whether the log still reaches down to that is the WAL's
  // to say. Of a broken-off reception as much is kept as verifies.
  // Errors: UNSUPPORTED_FORMAT_VERSION if a newer program wrote the newest one.
  static absl::StatusOr<std::unique_ptr<SnapshotStore>> Open(FileSystem* files,
                                                             std::string directory);

  // Nothing if there is none that can be used.
  const std::optional<SnapshotOffer>& newest() const { return newest_; }
  // What Open found damaged; the files are removed by the next Write or InstallReceived.
  const std::vector<Damaged>& damaged() const { return damaged_; }

  // The state machine's bytes of one of the two. Errors: INVALID_REQUEST if it is not held (any
  // more); CORRUPT_LOG if it is damaged now, naming file and place.
  absl::StatusOr<std::string> ReadBody(const SnapshotId& id);

  // Makes a snapshot of what was applied through `last`, with the voters in force there; durable,
  // verified and the newest when this returns OK. Then only it and the one before it are kept.
  // Errors: INVALID_REQUEST if a newer one is there (an installation overtook this: drop it), or as
  // EncodeSnapshotFile; STORAGE_FULL and other errors leave all as it was. Only if the directory's
  // sync fails it is not known what a crash would leave: the store then refuses every change with
  // that error until it is opened again.
  absl::StatusOr<SnapshotOffer> Write(const EntryId& last, const VoterSet& voters, Slice body);

  // Bytes [offset, offset + size) of one of the two, verified; fewer at its end. Errors: as
  // ReadBody; INVALID_REQUEST if `offset` is not within it.
  absl::StatusOr<Bytes> ReadChunk(const SnapshotId& id, uint64_t offset, uint64_t size);

  // Durable when this returns OK. Offset 0 discards whatever was being received.
  // Errors: INVALID_REQUEST unless the piece is the next one, not empty, and within a possible
  // snapshot; after any other error the reception is gone and begins again at offset 0.
  absl::Status AppendReceived(const SnapshotId& id, uint64_t offset, Slice data);
  // What was received so far, by a former process too.
  std::optional<Receiving> receiving() const;
  // Whether all of `id` was received, and is what the id says, to the last bit.
  // Errors: UNSUPPORTED_FORMAT_VERSION: intact, and of no use to this program; those of the disk.
  absl::StatusOr<bool> VerifyReceived(const SnapshotId& id);
  // Makes the received snapshot the newest, durably; all others are removed afterwards, since the
  // log that goes with them is about to be. OK if it is the newest already.
  // Errors: INVALID_REQUEST unless VerifyReceived said true, or if a newer one is there; as Write.
  absl::Status InstallReceived(const SnapshotId& id);

 private:
  // One that can be used.
  struct Held {
    std::string path;
    SnapshotFile snapshot;
  };
  struct Reception {
    SnapshotId id;
    uint64_t received = 0;
    std::string path;
    std::unique_ptr<File> file;
    // Set by VerifyReceived.
    std::optional<SnapshotFile> verified = {};
  };

  SnapshotStore(FileSystem* files, std::string directory)
      : files_(*files), directory_(std::move(directory)) {}

  absl::Status Recover();
  // Reads snapshots, newest first, until two are good; removes older ones.
  absl::Status RecoverSnapshots(const std::vector<DirectoryEntry>& entries);
  absl::Status RecoverReception(const std::vector<DirectoryEntry>& entries);
  // Keeps what verifies of a partial file and makes that durable.
  absl::StatusOr<std::optional<Reception>> AdoptReception(const SnapshotId& id,
                                                          const std::string& path);
  absl::StatusOr<SnapshotFile> WriteUnfinished(const std::string& path, Slice contents);
  // Gives a synced and verified file its name and makes that durable; `keep` are kept in all.
  absl::Status Adopt(const std::string& path, SnapshotFile snapshot, size_t keep);
  absl::Status RemoveOthers();
  absl::Status BeginReception(const SnapshotId& id);
  absl::Status DiscardReception();
  absl::StatusOr<const Held*> Find(const SnapshotId& id) const;
  absl::Status CheckNewer(const EntryId& last) const;
  std::string PathOf(absl::string_view name) const { return JoinPath(directory_, name); }

  FileSystem& files_;
  const std::string directory_;
  // Newest first; at most two.
  std::vector<Held> held_;
  // Of held_'s first.
  std::optional<SnapshotOffer> newest_;
  std::vector<Damaged> damaged_;
  std::optional<Reception> reception_;
  // Set when a sync of the directory failed.
  absl::Status broken_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_STORE_H_
