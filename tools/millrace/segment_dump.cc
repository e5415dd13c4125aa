#include "tools/millrace/segment_dump.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "record/batch_view.h"
#include "record/compression.h"
#include "record/record_reader.h"
#include "storage/file_names.h"
#include "storage/index_file.h"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

constexpr size_t kBatchBytesMax = size_t{1} << 31;
constexpr uint64_t kIndexBytesMax = uint64_t{1} << 30;

Json Text(const absl::optional<Slice>& bytes) {
  if (!bytes.has_value()) return nullptr;
  return absl::CHexEscape(absl::string_view(*bytes));
}

Json BatchJson(const record::BatchView& batch, uint64_t position) {
  return {{"position", position},
          {"bytes", batch.size()},
          {"base_offset", batch.base_offset().value()},
          {"last_offset", batch.last_offset().value()},
          {"records", batch.record_count()},
          {"leader_epoch", batch.leader_epoch().value()},
          {"compression", std::string(record::CompressionName(batch.compression()))},
          {"max_timestamp_ms", batch.max_timestamp_ms()},
          {"producer_id", batch.producer_id().value()},
          {"producer_epoch", batch.producer_epoch().value()},
          {"base_sequence", batch.base_sequence()},
          {"transactional", batch.is_transactional()},
          {"control", batch.is_control()},
          {"crc", batch.crc()}};
}

// "name: value" pairs on one line.
std::string TextLine(const Json& object) {
  std::string line;
  for (const auto& [name, value] : object.items()) {
    absl::StrAppend(&line, line.empty() ? "" : "  ", name, ": ",
                    value.is_string() ? value.get<std::string>() : value.dump());
  }
  return line;
}

void PrintLine(const Json& object, const DumpOptions& options, absl::string_view indent) {
  PrintOut(absl::StrCat(indent, options.json ? object.dump() : TextLine(object), "\n"));
}

absl::Status DumpRecords(const record::BatchView& batch, const DumpOptions& options) {
  return record::ForEachRecord(batch, {}, [&](const record::RecordView& record) {
    Json headers = Json::array();
    for (const record::Header& header : record.headers) {
      headers.push_back({{"key", Text(header.key)}, {"value", Text(header.value)}});
    }
    PrintLine({{"offset", record.offset.value()},
               {"timestamp_ms", record.timestamp_ms},
               {"key", Text(record.key)},
               {"value", Text(record.value)},
               {"headers", headers}},
              options, options.json ? "" : "  | ");
    return absl::OkStatus();
  });
}

absl::Status Damaged(const std::string& path, uint64_t position, absl::string_view why) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat(path, ": damaged at position ", position, ": ", why),
                   {.name = path, .value = absl::StrCat(position)});
}

bool AllZero(Slice bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

// Whether the file holds nothing but zeros from `position` on: room that was made ahead of the
// append.
absl::StatusOr<bool> IsPreallocated(const File& file, uint64_t position) {
  std::vector<char> piece(1 << 20);
  for (;;) {
    ASSIGN_OR_RETURN(const size_t n, file.ReadAt(position, absl::MakeSpan(piece)));
    if (!AllZero(Slice(piece.data(), n))) return false;
    if (n < piece.size()) return true;
    position += n;
  }
}

absl::Status DumpLog(const File& file, const std::string& path, const DumpOptions& options) {
  ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  uint64_t position = 0;
  std::vector<char> bytes;
  while (position < size) {
    char head[record::kPeekBytes];
    ASSIGN_OR_RETURN(const size_t peeked, file.ReadAt(position, absl::MakeSpan(head)));
    if (AllZero(Slice(head, peeked))) {
      ASSIGN_OR_RETURN(const bool preallocated, IsPreallocated(file, position));
      if (!preallocated) return Damaged(path, position, "zeros where a batch should begin");
      PrintLine({{"position", position}, {"preallocated_bytes", size - position}}, options, "");
      return absl::OkStatus();
    }
    const absl::StatusOr<size_t> batch_size =
        record::PeekBatchSize(Slice(head, peeked), kBatchBytesMax);
    if (!batch_size.ok()) return Damaged(path, position, batch_size.status().message());
    if (*batch_size > size - position) return Damaged(path, position, "the file ends in a batch");
    bytes.resize(*batch_size);
    ASSIGN_OR_RETURN(const size_t n, file.ReadAt(position, absl::MakeSpan(bytes)));
    const absl::StatusOr<record::BatchView> batch =
        record::BatchView::Parse(Slice(bytes.data(), n));
    if (!batch.ok()) return Damaged(path, position, batch.status().message());
    PrintLine(BatchJson(*batch, position), options, "");
    if (options.records) RETURN_IF_ERROR(DumpRecords(*batch, options));
    position += *batch_size;
  }
  return absl::OkStatus();
}

absl::Status DumpOffsetIndex(FileSystem& files, const std::string& path,
                             const DumpOptions& options) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(files, path, kIndexBytesMax));
  for (size_t at = 0; at + storage::kOffsetIndexEntrySize <= bytes.size();
       at += storage::kOffsetIndexEntrySize) {
    const storage::OffsetIndexEntry entry = storage::LoadOffsetIndexEntry(bytes.data() + at);
    PrintLine({{"relative_offset", entry.relative_offset}, {"position", entry.position}}, options,
              "");
  }
  return absl::OkStatus();
}

absl::Status DumpTimeIndex(FileSystem& files, const std::string& path, const DumpOptions& options) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(files, path, kIndexBytesMax));
  for (size_t at = 0; at + storage::kTimeIndexEntrySize <= bytes.size();
       at += storage::kTimeIndexEntrySize) {
    const storage::TimeIndexEntry entry = storage::LoadTimeIndexEntry(bytes.data() + at);
    PrintLine({{"timestamp_ms", entry.timestamp_ms}, {"relative_offset", entry.relative_offset}},
              options, "");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DumpSegmentFile(FileSystem& files, const std::string& path,
                             const DumpOptions& options) {
  if (absl::EndsWith(path, storage::kLogSuffix)) {
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
    return DumpLog(*file, path, options);
  }
  if (absl::EndsWith(path, storage::kTimeIndexSuffix)) return DumpTimeIndex(files, path, options);
  if (absl::EndsWith(path, storage::kOffsetIndexSuffix)) {
    return DumpOffsetIndex(files, path, options);
  }
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("'", path,
                   "' is not a .log, .index or .timeindex file, nor a directory of the "
                   "metadata log (*.wal), nor a snapshot of it"),
      {.name = "path", .value = path});
}

}  // namespace millrace::tools
