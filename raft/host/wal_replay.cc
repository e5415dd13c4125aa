#include "raft/host/wal_replay.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

std::string Text(EntryId id) {
  return absl::StrCat("(term ", id.term.value(), ", index ", id.index.value(), ")");
}

// No log comes near; what is beyond is damage, and would overflow when counted on.
constexpr int64_t kIndexMax = int64_t{1} << 62;

absl::Status Corrupt(absl::string_view what) { return MakeError(ErrorCode::kCorruptLog, what); }

}  // namespace

absl::Status WalReplay::Apply(const WalRecord& record) {
  if (record.term.value() < 0 || record.term.value() > kIndexMax || record.index.value() < 0 ||
      record.index.value() > kIndexMax) {
    return Corrupt(absl::StrCat("a record with an impossible term or index: ",
                                Text(EntryId{record.term, record.index})));
  }
  switch (record.type) {
    case WalRecordType::kSegmentStart:
      return ApplyStart(record);
    case WalRecordType::kHardState:
      return ApplyHardState(record);
    case WalRecordType::kVoters:
      return ApplyVoters(record);
    case WalRecordType::kTruncate:
      return ApplyTruncate(record);
    case WalRecordType::kRestart:
      entries_.clear();
      base_ = EntryId{record.term, record.index};
      return absl::OkStatus();
    case WalRecordType::kEntry:
      return ApplyEntry(record);
  }
  return MakeError(ErrorCode::kUnsupportedFormatVersion,
                   absl::StrCat("WAL record of unknown type ", static_cast<int>(record.type),
                                ": written by a newer version; run that one"));
}

absl::Status WalReplay::ApplyStart(const WalRecord& record) {
  const EntryId before{record.term, record.index};
  if (!started_) {
    started_ = true;
    base_ = before;
    return absl::OkStatus();
  }
  // Term 0 says that the writer, or this reader, did not know it (after a cut).
  const bool terms_known = before.term.value() != 0 && last().term.value() != 0;
  if (before.index != last().index || (terms_known && before.term != last().term)) {
    return Corrupt(absl::StrCat("a segment goes on after ", Text(before), ", but the log ends at ",
                                Text(last())));
  }
  return absl::OkStatus();
}

absl::Status WalReplay::ApplyHardState(const WalRecord& record) {
  std::optional<HardState> next = DecodeHardState(record);
  if (!next.has_value()) return Corrupt("malformed hard state");
  const bool vote_changed = hard_state_.voted_for.has_value() && next->term == hard_state_.term &&
                            next->voted_for != hard_state_.voted_for;
  if (next->term < hard_state_.term || vote_changed) {
    return Corrupt(absl::StrCat("the hard state goes back in term ", next->term.value(),
                                ", after term ", hard_state_.term.value()));
  }
  hard_state_ = *std::move(next);
  return absl::OkStatus();
}

absl::Status WalReplay::ApplyVoters(const WalRecord& record) {
  absl::StatusOr<std::vector<Voter>> voters = DecodeVoters(record.payload);
  if (!voters.ok()) return Corrupt(voters.status().message());
  voters_ = VoterSet{EntryId{record.term, record.index}, *std::move(voters)};
  return absl::OkStatus();
}

absl::Status WalReplay::ApplyTruncate(const WalRecord& record) {
  if (record.index <= base_.index) {
    return Corrupt(absl::StrCat("a cut before index ", record.index.value(),
                                ", where the log begins after ", Text(base_)));
  }
  CutBefore(record.index);
  return absl::OkStatus();
}

absl::Status WalReplay::ApplyEntry(const WalRecord& record) {
  const EntryId id{record.term, record.index};
  if (record.index > last().index + 1 || record.index.value() < 1) {
    return Corrupt(absl::StrCat("entry ", Text(id), " after ", Text(last()), ": a gap"));
  }
  // An entry that is there already is overwritten, and all after it with it.
  if (record.index <= base_.index) {
    // The log that is overwritten began in a segment that is gone. What stands before is not
    // known; the snapshot that let it go covers it.
    entries_.clear();
    base_ = EntryId{Term(0), record.index - 1};
  } else {
    CutBefore(record.index);
  }
  if (record.term < last().term) {
    return Corrupt(absl::StrCat("entry ", Text(id), " after ", Text(last()), ": the term falls"));
  }
  const auto type = static_cast<EntryType>(record.entry_type);
  if (type != EntryType::kNoOp && type != EntryType::kPayload && type != EntryType::kVoters) {
    return MakeError(ErrorCode::kUnsupportedFormatVersion,
                     absl::StrCat("entry ", Text(id), " of unknown type ", record.entry_type,
                                  ": written by a newer version; run that one"));
  }
  Entry entry{.term = record.term, .index = record.index, .type = type};
  if (record.index > snapshot_.index) entry.payload = Bytes::Copy(record.payload);
  entries_.push_back(std::move(entry));
  return absl::OkStatus();
}

void WalReplay::CutBefore(LogIndex index) {
  const int64_t keep = index - base_.index - 1;
  if (keep < static_cast<int64_t>(entries_.size())) entries_.resize(keep);
}

bool WalReplay::ConflictsWithSnapshot() const {
  if (last().index < snapshot_.index) return true;
  // What the log says of the snapshot's own index, if it reaches down to it. Term 0 at the base
  // means that it does not know.
  if (snapshot_.index == base_.index) {
    return base_.term.value() != 0 && base_.term != snapshot_.term;
  }
  if (snapshot_.index < base_.index) return false;
  return entries_[snapshot_.index - base_.index - 1].term != snapshot_.term;
}

absl::StatusOr<std::vector<Entry>> WalReplay::TakeEntries() {
  if (base_.index > snapshot_.index) {
    return Corrupt(absl::StrCat("entries ", snapshot_.index.value() + 1, " to ",
                                base_.index.value(),
                                " are missing: the log begins after them, and no snapshot or "
                                "image covers them"));
  }
  const int64_t covered = snapshot_.index - base_.index;
  std::vector<Entry> out(std::make_move_iterator(entries_.begin() + covered),
                         std::make_move_iterator(entries_.end()));
  entries_.clear();
  return out;
}

}  // namespace millrace::raft
