#include "storage/kv_rocksdb.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/iterator.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"

namespace millrace::storage {

namespace {

rocksdb::Slice ToRocks(Slice slice) { return {slice.data(), slice.size()}; }
Slice FromRocks(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// A cache of a few MB of metadata needs neither RocksDB's memory nor its threads.
rocksdb::Options SmallOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 4 << 20;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 2;
  options.max_open_files = 64;
  options.max_total_wal_size = 8 << 20;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  // The statistics thread would wake an idle process.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // Damage in the middle of RocksDB's own log cuts it there: an older state, which is legal.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.skip_stats_update_on_db_open = true;
  options.compression = rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(1 << 20);
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// For calls after a Clear that could not begin anew.
absl::Status NotOpen() {
  return MakeError(ErrorCode::kStorageError,
                   "the image store was damaged and could not be begun anew; restart the process");
}

absl::Status FromRocksStatus(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const ErrorCode code = status.IsCorruption() ? ErrorCode::kCorruptLog : ErrorCode::kStorageError;
  return MakeError(code, absl::StrCat("the image store cannot ", what, ": ", status.ToString()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksKvStore>> RocksKvStore::Open(absl::string_view directory) {
  const std::string path(directory);
  const rocksdb::Options options = SmallOptions();
  rocksdb::DB* db = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, path, &db);
  // RocksDB says "corruption" of a damaged file and "invalid argument" of a missing one.
  if (status.IsCorruption() || status.IsInvalidArgument()) {
    const rocksdb::Status destroyed = rocksdb::DestroyDB(path, options);
    if (destroyed.ok()) status = rocksdb::DB::Open(options, path, &db);
  }
  if (status.ok()) {
    return std::unique_ptr<RocksKvStore>(new RocksKvStore(std::unique_ptr<rocksdb::DB>(db)));
  }
  const bool locked = status.IsIOError() && absl::StrContains(status.ToString(), "LOCK");
  return MakeError(locked ? ErrorCode::kDirectoryLocked : ErrorCode::kDirectoryUnavailable,
                   absl::StrCat("cannot open the image store in ", path, ": ", status.ToString(),
                                locked ? "; stop the process that uses it" : ""),
                   {.name = path});
}

RocksKvStore::RocksKvStore(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}

RocksKvStore::~RocksKvStore() = default;

absl::Status RocksKvStore::Write(const WriteBatch& batch) {
  if (db_ == nullptr) return NotOpen();
  rocksdb::WriteBatch out;
  for (const WriteBatch::Change& change : batch.changes()) {
    const rocksdb::Status status =
        change.value.has_value() ? out.Put(change.key, *change.value) : out.Delete(change.key);
    RETURN_IF_ERROR(FromRocksStatus(status, "take a change"));
  }
  return FromRocksStatus(db_->Write(rocksdb::WriteOptions(), &out), "be written");
}

absl::StatusOr<std::optional<std::string>> RocksKvStore::Get(Slice key) const {
  if (db_ == nullptr) return NotOpen();
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), ToRocks(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  RETURN_IF_ERROR(FromRocksStatus(status, "be read"));
  return std::optional<std::string>(std::move(value));
}

absl::Status RocksKvStore::ForEach(Slice prefix, const Visitor& visit) const {
  if (db_ == nullptr) return NotOpen();
  rocksdb::ReadOptions options;
  // A scan happens at a start and must not fill the cache.
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->Seek(ToRocks(prefix)); it->Valid() && it->key().starts_with(ToRocks(prefix));
       it->Next()) {
    RETURN_IF_ERROR(visit(FromRocks(it->key()), FromRocks(it->value())));
  }
  return FromRocksStatus(it->status(), "be read");
}

absl::Status RocksKvStore::Clear() {
  // Keys are deleted one by one in one batch: a range deletion would need an end that no key has.
  WriteBatch batch;
  const absl::Status listed = ForEach("", [&batch](Slice key, Slice) {
    batch.Delete(key);
    return absl::OkStatus();
  });
  if (listed.ok()) return Write(batch);
  if (db_ == nullptr) return listed;
  // What cannot be read cannot be cleared; a new store in its place can.
  const std::string path = db_->GetName();
  db_.reset();
  rocksdb::DestroyDB(path, SmallOptions());
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(SmallOptions(), path, &db);
  db_.reset(db);
  return FromRocksStatus(opened, "be begun anew");
}

}  // namespace millrace::storage
