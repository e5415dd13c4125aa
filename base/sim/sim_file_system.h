// SimFileSystem: files in memory that can be found as a power loss would leave them.
//
// Keeps the contract of base/file_system.h to the letter and promises nothing beyond it: data is
// durable after Sync, names after SyncDirectory, and until then a crash may keep, lose or tear
// them. Starts as an empty root directory. Paths may be absolute or relative: "/a" and "a" are the
// same.
//
// Faults: the n-th call fails, all syncs fail, the disk is full, bits rot. A failed sync marks its
// data clean without making it durable, as Linux does: a second sync succeeds and proves nothing.
//
// Crash tests: in SetOnCall's hook, before every call that changes something, take CrashImage in
// each mode and recover from it (and once more at the end).
//
// Thread: one.
#ifndef BASE_SIM_SIM_FILE_SYSTEM_H_
#define BASE_SIM_SIM_FILE_SYSTEM_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/random.h"
#include "base/sim/sim_node.h"
#include "base/sim/sim_random.h"

namespace millrace::sim {

// One call as hooks see it.
struct SimCall {
  enum class Kind {
    kOpen,    // That neither creates nor empties.
    kCreate,  // An Open that creates or empties.
    kRead,
    kSize,
    kWrite,
    kTruncate,
    kZeroFill,
    kSync,
    kCreateDirectory,
    kList,  // ListDirectory, Exists, Space.
    kRename,
    kRemove,
    kSyncDirectory,
    kLock,
  };
  Kind kind;
  std::string path;
  uint64_t offset = 0;
  uint64_t length = 0;
  // From 1, over all calls.
  uint64_t number = 0;

  // Whether it changes the cache or the disk.
  bool mutating() const;
  // "#17 WRITE /data/t-0/0.log 4096+512".
  std::string ToString() const;
};

enum class SimFault { kIoError, kNoSpace };

class SimFileSystem : public FileSystem {
 public:
  // `seed` decides in which order WriteAndSync syncs files.
  explicit SimFileSystem(uint64_t seed = 0);
  ~SimFileSystem() override;
  SimFileSystem(const SimFileSystem&) = delete;
  SimFileSystem& operator=(const SimFileSystem&) = delete;

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  void WriteAndSync(absl::Span<FileWrite> writes) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override;

  // A new file system, all durable, with what a power loss now would leave. Nothing of this one
  // changes; the image has its capacity, but neither its faults, hooks and locks nor its open
  // files.
  std::unique_ptr<SimFileSystem> CrashImage(CrashMode mode, Random& random) const;

  // Makes everything durable, as sync(1): for setting up a test.
  void SyncAll();

  // Calls so far, on the file system and its files, those that failed included.
  uint64_t calls() const { return calls_; }

  // The first call from number `n` on that can fail so, fails; with `sticky`, all later ones too. A
  // failing write may have written a part. kNoSpace is for calls that need room.
  void FailCallAt(uint64_t n, SimFault fault, bool sticky = false);
  // While set, every Sync and SyncDirectory fails.
  void FailSyncs(bool fail) { fail_syncs_ = fail; }
  // Asked before each call; what it returns happens to the call. For all other plans.
  void SetFaults(std::function<std::optional<SimFault>(const SimCall&)> faults) {
    faults_ = std::move(faults);
  }
  void ClearFaults();

  // Room for the files' bytes in all; what does not fit fails with STORAGE_FULL.
  void SetCapacity(uint64_t bytes) { capacity_bytes_ = bytes; }
  uint64_t used_bytes() const { return used_bytes_; }

  // Flips bit `bit` (counted from the file's start) in cache and disk. REQUIRES: the file has it.
  void FlipBit(const std::string& path, uint64_t bit);

  // Runs before each mutating call (also one that then fails). It may take crash images, but not
  // call this file system otherwise.
  void SetOnCall(std::function<void(const SimCall&)> on_call) { on_call_ = std::move(on_call); }
  // Runs before each call of any kind: where a simulation adds the time it takes (SimLoop::Delay).
  void SetLatency(std::function<void(const SimCall&)> latency) { latency_ = std::move(latency); }

  // What a process would see, without a call that is counted, takes time or can fail: for checks
  // beside the processes. Nothing where there is no such directory or file.
  std::vector<std::string> PeekNames(const std::string& directory) const;
  // Fills `out` from `offset`; returns how many bytes were there.
  size_t Peek(const std::string& path, uint64_t offset, absl::Span<char> out) const;

  // Handles that are open now.
  int open_files() const { return open_files_; }

 private:
  friend class SimFile;
  friend class SimLock;
  using NodePtr = std::shared_ptr<SimNode>;

  // Names that a change gives or takes (null), all at once.
  struct NameChange {
    struct Half {
      NodePtr directory;
      std::string name;
      NodePtr node;
    };
    std::vector<Half> halves;
  };
  struct Place {
    NodePtr directory;
    std::string name;
    NodePtr node;  // Null if there is nothing of that name.
  };

  // Counts the call, runs hooks, and decides whether it fails.
  absl::Status Begin(SimCall::Kind kind, const std::string& path, uint64_t offset = 0,
                     uint64_t length = 0);
  absl::StatusOr<Place> Find(const std::string& path) const;
  absl::StatusOr<NodePtr> FindDirectory(const std::string& path) const;
  NodePtr MakeNode(bool is_directory);
  void ChangeNames(NameChange change);
  // Makes durable, for each directory id, the first so many of its pending changes (by index into
  // names_), and with them the other half of a rename between directories.
  static std::vector<bool> Committed(const std::vector<NameChange>& names,
                                     std::map<uint64_t, size_t> through);
  void CommitNames(const std::vector<bool>& committed);
  // Keeps used_bytes_ right after `node` changed its size, links or opens.
  void Recount(SimNode& node);
  bool HasRoom(const SimNode& node, uint64_t size) const;

  NodePtr root_;
  uint64_t next_id_ = 1;
  SimRandom random_;
  // Changes of names that no SyncDirectory has covered, oldest first.
  std::vector<NameChange> names_;
  uint64_t calls_ = 0;
  int open_files_ = 0;
  uint64_t capacity_bytes_ = uint64_t{1} << 40;
  uint64_t used_bytes_ = 0;

  struct Planned {
    uint64_t from = 0;
    SimFault fault = SimFault::kIoError;
    bool sticky = false;
  };
  std::optional<Planned> planned_;
  bool fail_syncs_ = false;
  std::function<std::optional<SimFault>(const SimCall&)> faults_;
  std::function<void(const SimCall&)> on_call_;
  std::function<void(const SimCall&)> latency_;
};

}  // namespace millrace::sim

#endif  // BASE_SIM_SIM_FILE_SYSTEM_H_
