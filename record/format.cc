#include "record/format.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::record {

absl::string_view CompressionName(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kGzip:
      return "gzip";
    case Compression::kSnappy:
      return "snappy";
    case Compression::kLz4:
      return "lz4";
    case Compression::kZstd:
      return "zstd";
  }
  // A number of a newer version, from a batch that Parse refused.
  return "unknown";
}

absl::StatusOr<Compression> ParseCompression(absl::string_view name) {
  for (const Compression compression : kAllCompressions) {
    if (CompressionName(compression) == name) return compression;
  }
  return MakeError(
      ErrorCode::kUnsupportedCompressionType,
      absl::StrCat("there is no compression \"", name, "\"; use none, gzip, snappy, lz4 or zstd"),
      {.name = "compression", .value = std::string(name)});
}

absl::string_view TimestampTypeName(TimestampType type) {
  return type == TimestampType::kLogAppendTime ? "LogAppendTime" : "CreateTime";
}

absl::StatusOr<TimestampType> ParseTimestampType(absl::string_view name) {
  for (const TimestampType type : {TimestampType::kCreateTime, TimestampType::kLogAppendTime}) {
    if (TimestampTypeName(type) == name) return type;
  }
  return MakeError(
      ErrorCode::kInvalidConfig,
      absl::StrCat("there is no timestamp type \"", name, "\"; use CreateTime or LogAppendTime"),
      {.name = "message.timestamp.type", .value = std::string(name)});
}

}  // namespace millrace::record
