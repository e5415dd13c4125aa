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

}  // namespace

absl::StatusOr<NextOffsets> ReadPositionFile(FileSystem& files, const std::string& path,
                                             const std::string& topic) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return NextOffsets();
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kBytesMax));
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return NotAPositionFile(path, "it holds no JSON object");
  if (json.value("version", Json()) != kVersion) return NotAPositionFile(path, "unknown version");
  if (json.value("topic", Json()) != topic) {
    return NotAPositionFile(path, absl::StrCat("it is not of topic '", topic, "'"));
  }
  const Json offsets = json.value("next_offsets", Json());
  if (!offsets.is_object()) return NotAPositionFile(path, "no next_offsets");
  NextOffsets next;
  for (const auto& [partition, offset] : offsets.items()) {
    int32_t index = 0;
    if (!absl::SimpleAtoi(partition, &index) || index < 0 || !offset.is_number_integer() ||
        offset.get<int64_t>() < 0) {
      return NotAPositionFile(path, absl::StrCat("bad entry for partition '", partition, "'"));
    }
    next[PartitionIndex(index)] = Offset(offset.get<int64_t>());
  }
  return next;
}

absl::Status WritePositionFile(FileSystem& files, const std::string& path, const std::string& topic,
                               const NextOffsets& next_offsets) {
  Json offsets = Json::object();
  for (const auto& [partition, offset] : next_offsets) {
    offsets[absl::StrCat(partition.value())] = offset.value();
  }
  const Json json = {{"version", kVersion}, {"topic", topic}, {"next_offsets", offsets}};
  return ReplaceFile(files, path, json.dump() + "\n");
}

}  // namespace millrace::tools
