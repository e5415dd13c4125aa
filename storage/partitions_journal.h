// PartitionsJournal: which replicas the directory holds, and whether each ever held data.
//
// So a replica is created by a few bytes in a frame that is synced for all created together, its
// files appear at the first append, and "named with data, but gone" is damage, not emptiness. A
// replica has a number, never used again, by which the sync journal names it.
//
// Entries, little-endian, begin with {u8 type, u32 number}; see partitions_journal.cc and
// docs/formats/partitions_journal.md.
//
// Thread: the disk executor.
#ifndef STORAGE_PARTITIONS_JOURNAL_H_
#define STORAGE_PARTITIONS_JOURNAL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/journal.h"
#include "storage/sync_journal.h"

namespace millrace::storage {

struct ReplicaRecord {
  uint32_t number = 0;
  TopicPartition topic_partition;
  std::string topic_name;
  // Batches below are deleted, as far as readers are concerned.
  Offset log_start;
  bool has_data = false;
  bool stray = false;

  friend bool operator==(const ReplicaRecord&, const ReplicaRecord&) = default;
};

class PartitionsJournal {
 public:
  // `syncs` vouches for what is durable here, and must outlive this.
  PartitionsJournal(FileSystem* files, const std::string& path, uint64_t bytes_max,
                    SyncJournal* syncs)
      : files_(files),
        path_(path),
        journal_(files, path, JournalKind::kPartitions, bytes_max),
        syncs_(syncs) {}

  // REQUIRES: the sync journal is loaded. Errors: those of ReadJournal; CORRUPT_LOG if a frame is
  // damaged that was synced (a replica's very existence may be lost), or if it contradicts itself.
  absl::Status Load();
  bool found() const { return found_; }
  // Deleted by an entry of the file read, so that the removal of their files may be unfinished.
  const std::vector<ReplicaRecord>& deleted() const { return deleted_; }

  // Replaces the file by the replicas of now. REQUIRED before anything is written.
  absl::Status Rewrite();

  // By number. What is not flushed yet is included.
  const std::map<uint32_t, ReplicaRecord>& replicas() const { return replicas_; }

  // Null: no such replica. By name ("<topic>-<partition>"): only if it is not set aside.
  const ReplicaRecord* Find(const TopicPartition& topic_partition) const;
  const ReplicaRecord* FindByName(const std::string& partition_name) const;

  // For the next frame. REQUIRES: the numbers exist.
  uint32_t Create(const TopicPartition& topic_partition, const std::string& topic_name);
  void SetHasData(uint32_t number);
  void SetStray(uint32_t number);
  // It is set aside no more. REQUIRES: no other replica has its name.
  void TakeBack(uint32_t number);
  void SetLogStart(uint32_t number, Offset log_start);
  void Delete(uint32_t number);

  bool has_pending() const { return journal_.has_pending(); }
  absl::Status Begin(FileWrite* write) { return journal_.Begin(write); }
  void Finish();
  absl::Status Flush();
  bool grown() const { return journal_.grown(); }

 private:
  absl::Status Replay(Slice entry);
  void Vouch();
  // Keep the two ways to find a replica.
  void Index(const ReplicaRecord& replica);
  void Unindex(const ReplicaRecord& replica);
  void UnindexName(const ReplicaRecord& replica);

  FileSystem* const files_;
  const std::string path_;
  Journal journal_;
  SyncJournal* const syncs_;
  std::map<uint32_t, ReplicaRecord> replicas_;
  // Numbers: a directory may hold tens of thousands of replicas, and each is looked up.
  std::map<TopicPartition, uint32_t> numbers_;
  std::map<std::string, uint32_t> numbers_by_name_;
  std::vector<ReplicaRecord> deleted_;
  uint32_t next_number_ = 1;
  bool found_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_PARTITIONS_JOURNAL_H_
