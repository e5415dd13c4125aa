// KvStore: a small ordered store of byte keys and values, for state that is a cache of a log.
//
// A batch is applied whole or not at all, also across a crash; a crash may lose the latest batches,
// because the log has them. It is not for user data and not for anything acknowledged. Sides:
// kv_rocksdb.h (real), fake_kv_store.h (tests and the simulator).
//
// Thread: one owner at a time; calls may block on a disk.
#ifndef STORAGE_KV_STORE_H_
#define STORAGE_KV_STORE_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace millrace::storage {

// Changes that happen together, in the order given (the last one for a key wins).
class WriteBatch {
 public:
  // `value` absent: the key is deleted.
  struct Change {
    std::string key;
    std::optional<std::string> value;
  };

  void Put(Slice key, Slice value) { changes_.push_back({std::string(key), std::string(value)}); }
  // Deleting a key that is not there is no error.
  void Delete(Slice key) { changes_.push_back({std::string(key), std::nullopt}); }

  const std::vector<Change>& changes() const { return changes_; }
  bool empty() const { return changes_.empty(); }

 private:
  std::vector<Change> changes_;
};

class KvStore {
 public:
  virtual ~KvStore() = default;

  // Errors, of all calls: STORAGE_ERROR if the store failed, CORRUPT_LOG if it is damaged.
  virtual absl::Status Write(const WriteBatch& batch) = 0;

  // Absent if the key is not there.
  virtual absl::StatusOr<std::optional<std::string>> Get(Slice key) const = 0;

  // Calls `visit` for every key that starts with `prefix`, in order of bytes; stops at the first
  // error of `visit` and returns it. The slices live until `visit` returns.
  using Visitor = std::function<absl::Status(Slice key, Slice value)>;
  virtual absl::Status ForEach(Slice prefix, const Visitor& visit) const = 0;

  // Forgets everything, atomically.
  virtual absl::Status Clear() = 0;
};

}  // namespace millrace::storage

#endif  // STORAGE_KV_STORE_H_
