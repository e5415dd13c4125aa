#include "tools/millrace/position_file.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace millrace::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr uint64_t kBytesMax = 16 << 20;

absl::Status NotAPositionFile(const std::string& path, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("'", path, "' is not a usable position file: ", why,
                                "; remove it to start anew"),
                   {.name = "--state", .value = path});
}

// Whole numbers from 0 on, by partition. Errors: INVALID_REQUEST.
absl::StatusOr<std::map<PartitionIndex, int64_t>> NumbersByPartition(const std::string& path,
                                                                     const Json& json) {
  std::map<PartitionIndex, int64_t> numbers;
  for (const auto& [partition, number] : json.items()) {
    int32_t index = 0;
    if (!absl::SimpleAtoi(partition, &index) || index < 0 || !number.is_number_integer() ||
        number.get<int64_t>() < 0) {
      return NotAPositionFile(path, absl::StrCat("bad entry for partition '", partition, "'"));
    }
    numbers[PartitionIndex(index)] = number.get<int64_t>();
  }
  return numbers;
}

}  // namespace

absl::StatusOr<KeptPositions> ReadPositionFile(FileSystem& files, const std::string& path,
                                               const KeptTopic& topic) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return KeptPositions();
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kBytesMax));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return NotAPositionFile(path, "it holds no JSON object");
  if (json.value("version", Json()) != kVersion) return NotAPositionFile(path, "unknown version");
  if (json.value("topic", Json()) != topic.name) {
    return NotAPositionFile(path, absl::StrCat("it is not of topic '", topic.name, "'"));
  }
  if (json.contains("topic_id") && json["topic_id"] != topic.id.ToString()) {
    return NotAPositionFile(path, absl::StrCat("topic '", topic.name,
                                               "' was deleted and made again since: the file is of "
                                               "the one with id ",
                                               json["topic_id"].dump(), ", and its id is \"",
                                               topic.id.ToString(), "\" now"));
  }
  const Json offsets = json.value("next_offsets", Json());
  if (!offsets.is_object()) return NotAPositionFile(path, "no next_offsets");
  const Json epochs = json.value("leader_epochs", Json::object());
  if (!epochs.is_object()) return NotAPositionFile(path, "leader_epochs is no JSON object");
  ASSIGN_OR_RETURN(const auto next, NumbersByPartition(path, offsets));
  ASSIGN_OR_RETURN(const auto epoch, NumbersByPartition(path, epochs));
  KeptPositions positions;
  for (const auto& [partition, offset] : next) {
    positions[partition].next = Offset(offset);
    const auto known = epoch.find(partition);
    if (known == epoch.end()) continue;
    positions[partition].epoch = LeaderEpoch(static_cast<int32_t>(known->second));
  }
  return positions;
}

absl::Status WritePositionFile(FileSystem& files, const std::string& path, const KeptTopic& topic,
                               const KeptPositions& positions) {
  Json offsets = Json::object();
  Json epochs = Json::object();
  for (const auto& [partition, position] : positions) {
    const std::string key = absl::StrCat(partition.value());
    offsets[key] = position.next.value();
    if (position.epoch != kNoLeaderEpoch) epochs[key] = position.epoch.value();
  }
  const Json json = {{"version", kVersion},
                     {"topic", topic.name},
                     {"topic_id", topic.id.ToString()},
                     {"next_offsets", offsets},
                     {"leader_epochs", epochs}};
  return ReplaceFile(files, path, json.dump() + "\n");
}

}  // namespace millrace::tools
