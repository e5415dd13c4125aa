#include "storage/sync_journal.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

constexpr uint8_t kDurableEnd = 1;
constexpr uint8_t kForget = 2;

std::string EncodeEnd(uint32_t number, Offset end) {
  std::string out;
  AppendLittle<uint8_t>(kDurableEnd, &out);
  AppendLittle<uint32_t>(number, &out);
  AppendLittle<int64_t>(end.value(), &out);
  return out;
}

}  // namespace

absl::Status SyncJournal::Load() {
  ASSIGN_OR_RETURN(const JournalContents contents,
                   ReadJournal(*files_, path_, JournalKind::kSync));
  found_ = contents.found;
  damaged_ = contents.damaged_at != 0;
  for (const std::string& entry : contents.entries) {
    Reader reader(entry);
    uint8_t type = 0;
    uint32_t number = 0;
    int64_t end = 0;
    const bool head = reader.ReadLittle(&type) && reader.ReadLittle(&number);
    if (head && type == kDurableEnd && reader.ReadLittle(&end)) {
      marks_[number] = Offset(end);
    } else if (head && type == kForget) {
      marks_.erase(number);
    } else {
      // Its checksum was right: somebody newer wrote it.
      return MakeError(ErrorCode::kUnsupportedFormatVersion,
                       absl::StrCat("sync journal '", path_, "' has an entry of unknown type ",
                                    type, ": it was written by a newer program"),
                       {.name = path_, .value = absl::StrCat(type)});
    }
  }
  return absl::OkStatus();
}

absl::Status SyncJournal::Rewrite() {
  std::vector<std::string> entries;
  for (const auto& [number, end] : marks_) entries.push_back(EncodeEnd(number, end));
  dirty_.clear();
  return journal_.Rewrite(entries);
}

void SyncJournal::SetDurable(uint32_t number, Offset end) {
  marks_[number] = end;
  dirty_[number] = end;
}

absl::Status SyncJournal::Lower(uint32_t number, Offset to) {
  const auto mark = marks_.find(number);
  if (mark == marks_.end() || mark->second <= to) return absl::OkStatus();
  SetDurable(number, to);
  return Flush();
}

void SyncJournal::Forget(uint32_t number) {
  dirty_.erase(number);
  if (marks_.erase(number) == 0) return;
  std::string entry;
  AppendLittle<uint8_t>(kForget, &entry);
  AppendLittle<uint32_t>(number, &entry);
  journal_.Add(entry);
}

void SyncJournal::AddDirty() {
  for (const auto& [number, end] : dirty_) journal_.Add(EncodeEnd(number, end));
  dirty_.clear();
}

absl::Status SyncJournal::Begin(FileWrite* write) {
  AddDirty();
  return journal_.Begin(write);
}

absl::Status SyncJournal::Flush() {
  AddDirty();
  return journal_.Flush();
}

}  // namespace millrace::storage
