// What a simulated file system keeps of one file or directory: how it looks to those who read it
// (the page cache), how it would be found after a power loss (durable), and the unsynced
// difference.
//
// A file's data is durable page by page; its size by order of the operations that changed it. A
// directory's names are changed by a journal, which SimFileSystem keeps for all of them.
//
// Thread: one. Owned by SimFileSystem.
#ifndef BASE_SIM_SIM_NODE_H_
#define BASE_SIM_SIM_NODE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/sim/sparse_bytes.h"

namespace millrace::sim {

// What became of the data that no sync had covered.
enum class CrashMode {
  // The kernel had just written everything back.
  kKeepAll,
  // Nothing since the last syncs got to the disk.
  kLoseAll,
  // Each write was kept, lost or torn, between sectors of 512 bytes or pages of 4 KiB; of sizes and
  // of
  // each directory's names a prefix of the changes was kept.
  kTorn,
};

class SimFileData {
 public:
  const SparseBytes& cache() const { return cache_; }
  const SparseBytes& durable() const { return durable_; }
  uint64_t pending_bytes() const { return pending_bytes_; }

  void Write(uint64_t offset, Slice data);
  void ZeroFill(uint64_t offset, uint64_t length);
  void Truncate(uint64_t size);

  // All that is in the cache becomes durable, but for pages that an earlier failed sync gave up and
  // nobody has written since.
  void Sync();
  // A sync that failed: what was pending counts as clean from now on, but is not durable (Linux).
  void FailSync();

  // What a power loss now would leave.
  SparseBytes Crash(CrashMode mode, Random& random) const;

  // A file whose cache and disk both hold `contents`.
  static SimFileData Durable(SparseBytes contents);

  void FlipBit(uint64_t bit);

 private:
  struct Change {
    enum class Kind { kWrite, kZero, kTruncate };
    Kind kind;
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t size_after = 0;
    std::string data = {};  // kWrite only.
    bool failed = false;    // Given up by a failed sync.
  };

  void Add(Change change);
  void SyncInto(SparseBytes& disk) const;
  SparseBytes CrashTorn(Random& random) const;

  SparseBytes cache_;
  SparseBytes durable_;
  std::vector<Change> pending_;
  uint64_t pending_bytes_ = 0;
};

// A file or a directory.
struct SimNode {
  using Entries = std::map<std::string, std::shared_ptr<SimNode>>;

  SimNode(uint64_t id_in, bool is_directory_in) : id(id_in), is_directory(is_directory_in) {}

  const uint64_t id;
  const bool is_directory;
  // Directory: its names as seen, and as they would be found.
  Entries entries = {};
  Entries durable_entries = {};
  // File.
  SimFileData data = {};
  int links = 0;         // Names that lead here, as seen.
  int opens = 0;         // Handles.
  uint64_t counted = 0;  // Bytes that the file system's capacity counts for this node.
  bool is_locked = false;
};

}  // namespace millrace::sim

#endif  // BASE_SIM_SIM_NODE_H_
