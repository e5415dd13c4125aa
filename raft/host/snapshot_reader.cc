#include "raft/host/snapshot_reader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

constexpr size_t kReadBytes = 1 << 20;

}  // namespace

absl::Status NameSnapshotFile(const absl::Status& status, const std::string& path) {
  const ErrorCode code = CodeOf(status);
  if (code != ErrorCode::kCorruptLog && code != ErrorCode::kUnsupportedFormatVersion) return status;
  ErrorDetail detail = DetailOf(status);
  detail.name = path;
  return MakeError(code, absl::StrCat("snapshot '", path, "': ", status.message()),
                   std::move(detail));
}

absl::Status ParseSnapshotFile(const File& file, SnapshotParser* parser) {
  Buffer buffer(kReadBytes);
  for (uint64_t at = 0;;) {
    ASSIGN_OR_RETURN(const size_t read,
                     file.ReadAt(at, absl::MakeSpan(buffer.data(), buffer.size())));
    RETURN_IF_ERROR(parser->Add(Slice(buffer.data(), read)));
    if (read < buffer.size()) return absl::OkStatus();
    at += read;
  }
}

absl::StatusOr<SnapshotFile> ReadSnapshotFile(FileSystem& files, const std::string& path,
                                              std::string* body) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  if (body != nullptr) {
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    body->reserve(std::min(size, kSnapshotBytesMax));
  }
  SnapshotParser parser(body);
  absl::Status status = ParseSnapshotFile(*file, &parser);
  if (status.ok()) status = parser.CheckComplete();
  if (!status.ok()) return NameSnapshotFile(status, path);
  const SnapshotHead& head = parser.head();
  return SnapshotFile{head, SnapshotId{head.last, head.FileBytes(), parser.checksum()}};
}

absl::StatusOr<Bytes> ReadSnapshotChunk(FileSystem& files, const std::string& path,
                                        const SnapshotFile& snapshot, uint64_t offset,
                                        uint64_t size) {
  const SnapshotHead& head = snapshot.head;
  CHECK(size > 0 && offset < snapshot.id.bytes && size <= snapshot.id.bytes - offset);
  // Whole sections around it: from the file's beginning, or from the CRC before a block.
  const bool from_start = offset < head.head_bytes;
  const uint64_t first = from_start ? 0 : head.BlockOf(offset);
  const uint64_t begin = from_start ? 0 : head.BlockAt(first) - kSnapshotCrcBytes;
  const uint64_t last_byte = offset + size - 1;
  const uint64_t end = last_byte < head.head_bytes
                           ? head.head_bytes
                           : std::min(head.BlockAt(head.BlockOf(last_byte) + 1), snapshot.id.bytes);
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  Buffer buffer(end - begin);
  ASSIGN_OR_RETURN(const size_t read,
                   file->ReadAt(begin, absl::MakeSpan(buffer.data(), buffer.size())));
  const Bytes bytes = std::move(buffer).Freeze(read);
  const size_t skipped = from_start ? 0 : kSnapshotCrcBytes;
  if (read < end - begin) {
    return NameSnapshotFile(
        MakeError(ErrorCode::kCorruptLog,
                  absl::StrCat("it ends at byte ", begin + read, " of ", snapshot.id.bytes)),
        path);
  }
  SnapshotParser parser = from_start
                              ? SnapshotParser()
                              : SnapshotParser(head, first, LoadLittle<uint32_t>(bytes.data()));
  if (absl::Status status = parser.Add(bytes.slice().substr(skipped)); !status.ok()) {
    return NameSnapshotFile(status, path);
  }
  return bytes.Sub(offset - begin, size);
}

}  // namespace millrace::raft
