// RocksKvStore: the KvStore on RocksDB, set up to start fast and to need little memory.
//
// Batches are atomic and checksummed; they are not synced one by one, because all that is in here
// is in a log as well: after a power loss the store is an older one, never a torn one.
//
// Thread: one owner; calls may block on the disk. RocksDB's own two background threads compact.
#ifndef STORAGE_KV_ROCKSDB_H_
#define STORAGE_KV_ROCKSDB_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/kv_store.h"

namespace rocksdb {
class DB;
}  // namespace rocksdb

namespace millrace::storage {

class RocksKvStore final : public KvStore {
 public:
  // Opens the store in `directory`, made if need be. One that is damaged is thrown away and begun
  // anew: its log has it all. Errors: DIRECTORY_LOCKED if another process has it open,
  // DIRECTORY_UNAVAILABLE if it cannot be made or opened.
  static absl::StatusOr<std::unique_ptr<RocksKvStore>> Open(absl::string_view directory);
  ~RocksKvStore() override;

  absl::Status Write(const WriteBatch& batch) override;
  absl::StatusOr<std::optional<std::string>> Get(Slice key) const override;
  absl::Status ForEach(Slice prefix, const Visitor& visit) const override;
  absl::Status Clear() override;

 private:
  explicit RocksKvStore(std::unique_ptr<rocksdb::DB> db);

  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace millrace::storage

#endif  // STORAGE_KV_ROCKSDB_H_
