// RecoveryPoints: up to where the active segments of a log directory need not be read again.
//
//   recovery-point-checkpoint   per log: a durable batch boundary of its active segment, and what a
//                               scan of the segment knew there
//
// A hint, in checked text: without it, or if it does not fit what is there, the whole active
// segment is read. It is safe because a point is noted only after everything below it was synced,
// with the indexes, a producer snapshot and the epoch checkpoint, and is taken back, durably,
// before a truncation, a restart or the deletion of its log. docs/formats/log_dir.md.
//
// Owned by LogDir. Thread: the disk executor (blocks).
#ifndef STORAGE_RECOVERY_POINTS_H_
#define STORAGE_RECOVERY_POINTS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/segment_scan.h"

namespace millrace::storage {

std::string EncodeRecoveryPoints(const std::map<TopicPartition, RecoveryPoint>& points);
// Errors: those of DecodeCheckedText; CORRUPT_LOG if a line makes no sense.
absl::StatusOr<std::map<TopicPartition, RecoveryPoint>> DecodeRecoveryPoints(
    Slice contents, absl::string_view path);

class RecoveryPoints {
 public:
  RecoveryPoints(FileSystem* files, const std::string& path) : files_(files), path_(path) {}

  // Reads what an earlier process left; nothing if the file is missing or damaged. Errors: those of
  // reading.
  absl::Status Load();

  // Null: none.
  const RecoveryPoint* Find(const TopicPartition& topic_partition) const;
  // For the next Flush. REQUIRES: all that the point vouches for is durable.
  void Set(const TopicPartition& topic_partition, const RecoveryPoint& point);
  // For the next Flush.
  void Remove(const TopicPartition& topic_partition);
  // Removes, durably, before the log is changed below its point. No effect if it has none. Blocks.
  absl::Status RemoveNow(const TopicPartition& topic_partition);
  // Removes all but those of these logs.
  void KeepOnly(const std::set<TopicPartition>& logs);

  // Writes the file if something changed. Where there is no room for it, the old one, which may say
  // too much, goes: OK, and the next Flush tries again. Blocks.
  absl::Status Flush();

 private:
  absl::Status RemoveFile();

  FileSystem* const files_;
  const std::string path_;
  std::map<TopicPartition, RecoveryPoint> points_;
  bool changed_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_RECOVERY_POINTS_H_
