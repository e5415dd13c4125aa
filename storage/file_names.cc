#include "storage/file_names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace millrace::storage {
namespace {

// As many digits as the largest int64 has, and one: Kafka's width.
constexpr size_t kOffsetDigits = 20;

}  // namespace

std::string SegmentFileName(Offset base_offset, absl::string_view suffix) {
  return absl::StrFormat("%020d%s", base_offset.value(), suffix);
}

std::optional<Offset> ParseSegmentFileName(absl::string_view name, absl::string_view suffix) {
  if (name.size() != kOffsetDigits + suffix.size() || !absl::EndsWith(name, suffix)) {
    return std::nullopt;
  }
  const absl::string_view digits = name.substr(0, kOffsetDigits);
  for (const char c : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  int64_t value = 0;
  if (!absl::SimpleAtoi(digits, &value)) return std::nullopt;
  return Offset(value);
}

std::string PartitionName(absl::string_view topic_name, PartitionIndex partition) {
  return absl::StrCat(topic_name, "-", partition.value());
}

std::string AsideName(absl::string_view topic_name, const TopicPartition& topic_partition,
                      absl::string_view suffix) {
  constexpr size_t kTopicBytesMax = 200;
  return absl::StrCat(
      PartitionName(topic_name.substr(0, kTopicBytesMax), topic_partition.partition), ".",
      topic_partition.topic_id.ToString(), suffix);
}

}  // namespace millrace::storage
