#include "storage/partition_metadata.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "storage/checked_text.h"
#include "storage/file_names.h"

namespace millrace::storage {
namespace {

constexpr char kKind[] = "partition";
constexpr absl::string_view kTopicId = "topic_id=";
constexpr uint64_t kFileBytesMax = 64 << 10;

}  // namespace

std::string EncodePartitionMetadata(const TopicPartition& topic_partition) {
  return EncodeCheckedText(kKind, {absl::StrCat(kTopicId, topic_partition.topic_id.ToString()),
                                   absl::StrCat("partition=", topic_partition.partition.value())});
}

absl::StatusOr<std::optional<TopicId>> ReadTopicIdOf(FileSystem& files,
                                                     const std::string& directory) {
  const std::string path = JoinPath(directory, kPartitionMetadataFile);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return std::nullopt;
  const absl::StatusOr<std::string> contents = ReadWholeFile(files, path, kFileBytesMax);
  // Too large to be one of ours.
  if (CodeOf(contents.status()) == ErrorCode::kResourceExhausted) return std::nullopt;
  RETURN_IF_ERROR(contents.status());
  const absl::StatusOr<std::vector<std::string>> lines = DecodeCheckedText(kKind, *contents, path);
  if (!lines.ok() || lines->empty()) return std::nullopt;
  absl::string_view id = (*lines)[0];
  if (!absl::ConsumePrefix(&id, kTopicId)) return std::nullopt;
  const absl::StatusOr<TopicId> topic_id = TopicId::FromString(id);
  return topic_id.ok() ? std::optional(*topic_id) : std::nullopt;
}

}  // namespace millrace::storage
