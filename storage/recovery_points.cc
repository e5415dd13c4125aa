#include "storage/recovery_points.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "storage/checked_text.h"

namespace millrace::storage {
namespace {

constexpr absl::string_view kKind = "recovery-points";
constexpr uint64_t kFileBytesMax = uint64_t{256} << 20;
// Numbers of a point after topic id and partition.
constexpr size_t kNumbers = 11;

std::array<int64_t, kNumbers> NumbersOf(const RecoveryPoint& point) {
  return {point.segment_base.value(),
          point.offset.value(),
          static_cast<int64_t>(point.position),
          static_cast<int64_t>(point.last_batch),
          static_cast<int64_t>(point.offset_index_bytes),
          static_cast<int64_t>(point.time_index_bytes),
          point.index.bytes_since_entry,
          point.index.max_timestamp_ms,
          point.index.max_timestamp_at.value(),
          point.index.last_time_entry_ms,
          point.first_timestamp_ms};
}

RecoveryPoint PointOf(const std::array<int64_t, kNumbers>& numbers) {
  RecoveryPoint point;
  point.segment_base = Offset(numbers[0]);
  point.offset = Offset(numbers[1]);
  point.position = static_cast<uint64_t>(numbers[2]);
  point.last_batch = static_cast<uint64_t>(numbers[3]);
  point.offset_index_bytes = static_cast<uint64_t>(numbers[4]);
  point.time_index_bytes = static_cast<uint64_t>(numbers[5]);
  point.index.bytes_since_entry = numbers[6];
  point.index.max_timestamp_ms = numbers[7];
  point.index.max_timestamp_at = Offset(numbers[8]);
  point.index.last_time_entry_ms = numbers[9];
  point.first_timestamp_ms = numbers[10];
  return point;
}

}  // namespace

std::string EncodeRecoveryPoints(const std::map<TopicPartition, RecoveryPoint>& points) {
  std::vector<std::string> lines;
  for (const auto& [topic_partition, point] : points) {
    lines.push_back(absl::StrCat(topic_partition.topic_id.ToString(), " ",
                                 topic_partition.partition.value(), " ",
                                 absl::StrJoin(NumbersOf(point), " ")));
  }
  return EncodeCheckedText(kKind, lines);
}

absl::StatusOr<std::map<TopicPartition, RecoveryPoint>> DecodeRecoveryPoints(
    Slice contents, absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, DecodeCheckedText(kKind, contents, path));
  std::map<TopicPartition, RecoveryPoint> points;
  for (const std::string& line : lines) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    std::array<int64_t, kNumbers> numbers = {};
    int32_t partition = 0;
    bool good = words.size() == kNumbers + 2 && absl::SimpleAtoi(words[1], &partition);
    for (size_t i = 0; good && i < kNumbers; ++i) {
      good = absl::SimpleAtoi(words[i + 2], &numbers[i]);
    }
    if (!good) {
      return MakeError(ErrorCode::kCorruptLog,
                       absl::StrCat("file '", path, "' has a line '", line, "', which is no point"),
                       {.name = std::string(path), .value = line});
    }
    ASSIGN_OR_RETURN(const TopicId topic_id, TopicId::FromString(words[0]));
    points[{topic_id, PartitionIndex(partition)}] = PointOf(numbers);
  }
  return points;
}

absl::Status RecoveryPoints::Load() {
  ASSIGN_OR_RETURN(const bool exists, files_->Exists(path_));
  if (!exists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string contents, ReadWholeFile(*files_, path_, kFileBytesMax));
  absl::StatusOr<std::map<TopicPartition, RecoveryPoint>> points =
      DecodeRecoveryPoints(contents, path_);
  if (points.ok()) {
    points_ = *std::move(points);
  } else {
    // Damaged: a hint less; the next Flush makes it good.
    changed_ = true;
  }
  return absl::OkStatus();
}

const RecoveryPoint* RecoveryPoints::Find(const TopicPartition& topic_partition) const {
  const auto found = points_.find(topic_partition);
  return found == points_.end() ? nullptr : &found->second;
}

void RecoveryPoints::Set(const TopicPartition& topic_partition, const RecoveryPoint& point) {
  const auto [at, is_new] = points_.try_emplace(topic_partition, point);
  if (!is_new && at->second == point) return;
  at->second = point;
  changed_ = true;
}

void RecoveryPoints::Remove(const TopicPartition& topic_partition) {
  if (points_.erase(topic_partition) > 0) changed_ = true;
}

absl::Status RecoveryPoints::RemoveNow(const TopicPartition& topic_partition) {
  // Changed: perhaps by an earlier call, which found no room.
  if (Find(topic_partition) == nullptr && !changed_) return absl::OkStatus();
  Remove(topic_partition);
  return Flush();
}

void RecoveryPoints::KeepOnly(const std::set<TopicPartition>& logs) {
  if (std::erase_if(points_, [&](const auto& p) { return logs.count(p.first) == 0; }) > 0) {
    changed_ = true;
  }
}

absl::Status RecoveryPoints::Flush() {
  if (!changed_) return absl::OkStatus();
  const absl::Status written = ReplaceFile(*files_, path_, EncodeRecoveryPoints(points_));
  if (CodeOf(written) == ErrorCode::kStorageFull) return RemoveFile();
  RETURN_IF_ERROR(written);
  changed_ = false;
  return absl::OkStatus();
}

absl::Status RecoveryPoints::RemoveFile() {
  ASSIGN_OR_RETURN(const bool exists, files_->Exists(path_));
  if (exists) RETURN_IF_ERROR(files_->RemoveFile(path_));
  return files_->SyncDirectory(ParentPath(path_));
}

}  // namespace millrace::storage
