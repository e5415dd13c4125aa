#include "storage/sync_journal.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

constexpr uint8_t kDurableEnd = 1;
constexpr uint8_t kForget = 2;
constexpr uint8_t kEpochStart = 3;
constexpr uint8_t kRoundEnd = 4;

std::string EncodeEnd(uint32_t number, Offset end) {
  std::string out;
  AppendLittle<uint8_t>(kDurableEnd, &out);
  AppendLittle<uint32_t>(number, &out);
  AppendLittle<int64_t>(end.value(), &out);
  return out;
}

std::string EncodeEpoch(uint32_t number, const EpochEntry& entry) {
  std::string out;
  AppendLittle<uint8_t>(kEpochStart, &out);
  AppendLittle<uint32_t>(number, &out);
  AppendLittle<int32_t>(entry.epoch.value(), &out);
  AppendLittle<int64_t>(entry.start_offset.value(), &out);
  return out;
}

}  // namespace

absl::Status SyncJournal::Load() {
  ASSIGN_OR_RETURN(const JournalContents contents, ReadJournal(*files_, path_, JournalKind::kSync));
  found_ = contents.found;
  journal_.ContinueFrom(contents.sequence);
  damaged_ = contents.damaged_at != 0;
  for (const std::string& entry : contents.entries) {
    Reader reader(entry);
    uint8_t type = 0;
    uint32_t number = 0;
    int64_t end = 0;
    int32_t epoch = 0;
    int64_t segment = 0;
    uint64_t position = 0;
    const bool head = reader.ReadLittle(&type) && reader.ReadLittle(&number);
    if (head && type == kDurableEnd && reader.ReadLittle(&end)) {
      marks_[number] = Offset(end);
      epochs_[number].TruncateFromEnd(Offset(end));
      round_ends_.erase(number);
    } else if (head && type == kForget) {
      marks_.erase(number);
      round_ends_.erase(number);
      epochs_.erase(number);
    } else if (head && type == kEpochStart && reader.ReadLittle(&epoch) &&
               reader.ReadLittle(&end)) {
      // One that does not fit has lost its predecessor to damage: it vouches for nothing.
      epochs_[number].Assign(LeaderEpoch(epoch), Offset(end)).status().IgnoreError();
    } else if (head && type == kRoundEnd && reader.ReadLittle(&segment) &&
               reader.ReadLittle(&position) && reader.ReadLittle(&end)) {
      round_ends_[number] = {Offset(segment), position, Offset(end)};
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
  for (const auto& [number, end] : marks_) {
    entries.push_back(EncodeEnd(number, end));
    for (const EpochEntry& entry : epochs_[number].entries()) {
      if (entry.start_offset < end) entries.push_back(EncodeEpoch(number, entry));
    }
  }
  RETURN_IF_ERROR(journal_.Rewrite(entries));
  dirty_.clear();
  told_round_ends_.clear();
  return absl::OkStatus();
}

void SyncJournal::SetDurable(uint32_t number, Offset end) {
  marks_[number] = end;
  dirty_[number] = end;
  told_round_ends_.erase(number);
}

void SyncJournal::AddEpoch(uint32_t number, const EpochEntry& entry) {
  const absl::StatusOr<bool> added = epochs_[number].Assign(entry.epoch, entry.start_offset);
  if (!added.ok() || !*added) return;
  // Behind the end that covers it.
  AddDirty();
  journal_.Add(EncodeEpoch(number, entry));
}

void SyncJournal::SetRoundEnd(uint32_t number, const RoundEnd& round) {
  const auto [told, first] = told_round_ends_.try_emplace(number, round);
  if (!first && told->second == round) return;
  told->second = round;
  AddDirty();
  std::string entry;
  AppendLittle<uint8_t>(kRoundEnd, &entry);
  AppendLittle<uint32_t>(number, &entry);
  AppendLittle<int64_t>(round.segment_base.value(), &entry);
  AppendLittle<uint64_t>(round.position, &entry);
  AppendLittle<int64_t>(round.end.value(), &entry);
  journal_.Add(entry);
}

absl::Status SyncJournal::Lower(uint32_t number, Offset to) {
  const auto mark = marks_.find(number);
  if (mark != marks_.end() && mark->second > to) {
    SetDurable(number, to);
    epochs_[number].TruncateFromEnd(to);
  }
  // Also what an earlier call lowered and found no room to write.
  return Flush();
}

void SyncJournal::Forget(uint32_t number) {
  dirty_.erase(number);
  epochs_.erase(number);
  round_ends_.erase(number);
  told_round_ends_.erase(number);
  if (marks_.erase(number) == 0) return;
  std::string entry;
  AppendLittle<uint8_t>(kForget, &entry);
  AppendLittle<uint32_t>(number, &entry);
  journal_.Add(entry);
}

void SyncJournal::KeepIf(absl::FunctionRef<bool(uint32_t)> keep) {
  std::vector<uint32_t> unknown;
  for (const auto& [number, end] : marks_) {
    if (number != kPartitionsJournal && !keep(number)) unknown.push_back(number);
  }
  for (const uint32_t number : unknown) Forget(number);
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
