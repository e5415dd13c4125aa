#include "storage/journal.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kMagic = 0x314c4e4a4c4c494d;  // "MILLJNL1"
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderSize = 24;
constexpr size_t kFrameHeaderSize = 16;
// Frames begin at multiples of this, so that a search after damage finds them.
constexpr size_t kAlignment = 8;
constexpr uint64_t kAllocationStep = 64 << 10;
constexpr uint64_t kFileBytesMax = uint64_t{1} << 30;

size_t Padded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

std::string EncodeHeader(JournalKind kind) {
  std::string out;
  AppendLittle<uint64_t>(kMagic, &out);
  AppendLittle<uint32_t>(static_cast<uint32_t>(kind), &out);
  AppendLittle<uint32_t>(kVersion, &out);
  AppendLittle<uint32_t>(0, &out);
  AppendLittle<uint32_t>(Crc32c(out), &out);
  return out;
}

// The checksum is seeded by the kind: a frame of another journal never verifies, nor do zeros.
uint32_t FrameCrc(JournalKind kind, uint64_t sequence, Slice payload) {
  std::string head;
  AppendLittle<uint32_t>(static_cast<uint32_t>(kind), &head);
  AppendLittle<uint32_t>(static_cast<uint32_t>(payload.size()), &head);
  AppendLittle<uint64_t>(sequence, &head);
  return Crc32cExtend(Crc32c(head), payload);
}

std::string EncodeFrame(JournalKind kind, uint64_t sequence, Slice payload) {
  std::string out;
  AppendLittle<uint32_t>(static_cast<uint32_t>(payload.size()), &out);
  AppendLittle<uint32_t>(FrameCrc(kind, sequence, payload), &out);
  AppendLittle<uint64_t>(sequence, &out);
  out.append(payload.data(), payload.size());
  out.resize(Padded(out.size()), '\0');
  return out;
}

void AppendEntry(Slice entry, std::string* payload) {
  CHECK_LE(entry.size(), size_t{std::numeric_limits<uint16_t>::max()});
  AppendLittle<uint16_t>(static_cast<uint16_t>(entry.size()), payload);
  payload->append(entry.data(), entry.size());
}

struct Frame {
  uint64_t sequence = 0;
  Slice payload;
  size_t size = 0;
};

// Whether a valid frame of a sequence after `after` begins at `data`.
bool ParseFrame(JournalKind kind, Slice data, uint64_t after, Frame* frame) {
  if (data.size() < kFrameHeaderSize) return false;
  const uint32_t length = LoadLittle<uint32_t>(data.data());
  frame->sequence = LoadLittle<uint64_t>(data.data() + 8);
  if (length > data.size() - kFrameHeaderSize || frame->sequence <= after) return false;
  frame->payload = data.substr(kFrameHeaderSize, length);
  frame->size = std::min(Padded(kFrameHeaderSize + length), data.size());
  // The padding is covered too: a bit changed there would otherwise pass.
  const Slice padding =
      data.substr(kFrameHeaderSize + length, frame->size - kFrameHeaderSize - length);
  return LoadLittle<uint32_t>(data.data() + 4) == FrameCrc(kind, frame->sequence, frame->payload) &&
         padding.find_first_not_of('\0') == Slice::npos;
}

absl::Status CheckHeader(JournalKind kind, Slice contents, const std::string& path) {
  if (contents.size() < kHeaderSize || LoadLittle<uint64_t>(contents.data()) != kMagic) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("file '", path,
                                  "' is no journal of this program, or its beginning is damaged"),
                     {.name = path});
  }
  if (LoadLittle<uint32_t>(contents.data() + kHeaderSize - 4) !=
      Crc32c(contents.substr(0, kHeaderSize - 4))) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("journal '", path, "' has a damaged header"), {.name = path});
  }
  const uint32_t version = LoadLittle<uint32_t>(contents.data() + 12);
  if (version != kVersion) {
    return MakeError(ErrorCode::kUnsupportedFormatVersion,
                     absl::StrCat("journal '", path, "' has format version ", version,
                                  ", but this program knows ", kVersion),
                     {.name = path, .value = absl::StrCat(version)});
  }
  const uint32_t found = LoadLittle<uint32_t>(contents.data() + 8);
  if (found != static_cast<uint32_t>(kind)) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("journal '", path, "' is of kind ", found, " instead of ",
                                  static_cast<uint32_t>(kind)),
                     {.name = path, .value = absl::StrCat(found)});
  }
  return absl::OkStatus();
}

bool SplitEntries(Slice payload, std::vector<std::string>* entries) {
  Reader reader(payload);
  while (!reader.empty()) {
    uint16_t length = 0;
    Slice entry;
    if (!reader.ReadLittle(&length) || !reader.ReadBytes(length, &entry)) return false;
    entries->emplace_back(entry);
  }
  return true;
}

}  // namespace

absl::StatusOr<JournalContents> ReadJournal(FileSystem& files, const std::string& path,
                                            JournalKind kind) {
  JournalContents contents;
  ASSIGN_OR_RETURN(contents.found, files.Exists(path));
  if (!contents.found) return contents;
  ASSIGN_OR_RETURN(const std::string data, ReadWholeFile(files, path, kFileBytesMax));
  RETURN_IF_ERROR(CheckHeader(kind, data, path));
  size_t position = kHeaderSize;
  uint64_t sequence = 0;
  size_t bad_from = 0;
  while (position < data.size()) {
    Frame frame;
    const Slice rest = Slice(data).substr(position);
    if (!ParseFrame(kind, rest, sequence, &frame) ||
        !SplitEntries(frame.payload, &contents.entries)) {
      // Zeros are the room allocated ahead.
      if (bad_from == 0 && rest.find_first_not_of('\0') == Slice::npos) return contents;
      if (bad_from == 0) bad_from = position;
      position += kAlignment;
      continue;
    }
    if (bad_from != 0 && contents.damaged_at == 0) contents.damaged_at = bad_from;
    bad_from = 0;
    sequence = contents.sequence = frame.sequence;
    position += frame.size;
  }
  if (bad_from != 0) contents.torn_bytes = data.size() - bad_from;
  return contents;
}

absl::Status Journal::Rewrite(const std::vector<std::string>& entries) {
  std::string contents = EncodeHeader(kind_);
  std::string payload;
  // One frame for all: the file appears whole, by rename.
  for (const std::string& entry : entries) AppendEntry(entry, &payload);
  contents += EncodeFrame(kind_, ++sequence_, payload);
  ASSIGN_OR_RETURN(file_, PutInPlace(contents));
  pending_.clear();
  size_ = allocated_ = rewritten_size_ = contents.size();
  const absl::Status synced = files_->SyncDirectory(ParentPath(path_));
  if (CodeOf(synced) == ErrorCode::kStorageFull) {
    // That would say that the old file goes on, and it has no name any more.
    return MakeError(ErrorCode::kStorageError, synced.message(), {.name = path_});
  }
  RETURN_IF_ERROR(synced);
  // So that errors to come call it by its name. Where too many files are open, it does without.
  absl::StatusOr<std::unique_ptr<File>> named = files_->Open(path_, OpenMode::kReadWrite);
  if (CodeOf(named.status()) == ErrorCode::kStorageFull) return absl::OkStatus();
  ASSIGN_OR_RETURN(file_, std::move(named));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<File>> Journal::PutInPlace(Slice contents) {
  const std::string temporary = absl::StrCat(path_, ".tmp");
  std::unique_ptr<File> file;
  const auto make = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(file, files_->Open(temporary, OpenMode::kTruncateCreate));
    FileWrite write{.file = file.get(), .pieces = {contents}};
    files_->WriteAndSync(absl::MakeSpan(&write, 1));
    RETURN_IF_ERROR(write.status);
    return files_->Rename(temporary, path_);
  };
  if (absl::Status status = make(); !status.ok()) {
    // Its remains would hold space on a full disk. If removing fails too, the first error tells
    // more.
    file.reset();
    files_->RemoveFile(temporary).IgnoreError();
    return status;
  }
  return file;
}

void Journal::Add(Slice entry) { AppendEntry(entry, &pending_); }

absl::Status Journal::Begin(FileWrite* write) {
  CHECK(file_ != nullptr && has_pending());
  if (!frame_.empty()) {
    // Its write may have left a part.
    ASSIGN_OR_RETURN(const uint64_t file_size, file_->Size());
    allocated_ = std::max(allocated_, file_size);
  }
  frame_ = EncodeFrame(kind_, ++sequence_, pending_);
  framed_ = pending_.size();
  RETURN_IF_ERROR(Allocate());
  write->file = file_.get();
  write->offset = size_;
  write->pieces.assign(1, Slice(frame_));
  write->sync = true;
  return absl::OkStatus();
}

absl::Status Journal::Allocate() {
  if (size_ + frame_.size() <= allocated_) return absl::OkStatus();
  const uint64_t length = std::max<uint64_t>(kAllocationStep, frame_.size());
  const absl::Status filled = file_->ZeroFill(allocated_, length);
  if (CodeOf(filled) == ErrorCode::kStorageFull) {
    // Too little room for the step may still be enough for the frame: its write will tell. What
    // there is of the step is given back: the logs need room too.
    const absl::Status cut = file_->Truncate(allocated_);
    if (CodeOf(cut) != ErrorCode::kStorageFull) return cut;
    ASSIGN_OR_RETURN(allocated_, file_->Size());
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(filled);
  allocated_ += length;
  return absl::OkStatus();
}

void Journal::Finish() {
  size_ += frame_.size();
  allocated_ = std::max(allocated_, size_);
  pending_.erase(0, framed_);
  frame_.clear();
}

absl::Status Journal::Flush() {
  if (!has_pending()) return absl::OkStatus();
  FileWrite write;
  RETURN_IF_ERROR(Begin(&write));
  files_->WriteAndSync(absl::MakeSpan(&write, 1));
  RETURN_IF_ERROR(write.status);
  Finish();
  return absl::OkStatus();
}

}  // namespace millrace::storage
