#include "raft/host/wal_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

// SplitMix64's mixer: spreads a secret seed over the generations.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

absl::Status WalWriter::Open(const WalRecovered& recovered) {
  const WalPosition& position = recovered.position;
  hard_state_ = recovered.recovery.hard_state;
  voters_ = recovered.recovery.voters;
  last_entry_ = position.last_entry;
  segments_.assign(position.segments.begin(), position.segments.end());
  number_ = position.last_number;
  chain_ = position.chain;

  if (!segments_.empty()) RETURN_IF_ERROR(ContinueLast(position));
  if (segments_.empty() || position.restart_after.has_value() || !position.can_continue) {
    RETURN_IF_ERROR(OpenSegment(position.generation_max + 1, position.restart_after));
  }
  if (position.orphans.empty()) return absl::OkStatus();
  // They are removed, not used again: one may hold bytes of a generation that this log gives out.
  for (const std::string& path : position.orphans) RETURN_IF_ERROR(files_.Remove(path));
  return files_.SyncNames();
}

absl::Status WalWriter::ContinueLast(const WalPosition& position) {
  ASSIGN_OR_RETURN(current_, files_.OpenExisting(segments_.back().generation));
  // The process before may have died between write and sync, or of a failed sync, after which the
  // page cache shows bytes that the disk does not have and believes them clean (ATC'20). Only the
  // last group can be meant, for one is in flight at a time: write it again, and sync. A seal too:
  // it may be lost, but not with a group behind it.
  if (!position.last_group.empty() && !MUTANT("wal.last-group-not-written-again")) {
    RETURN_IF_ERROR(current_.file->WriteAt(position.last_group_offset, position.last_group));
    RETURN_IF_ERROR(current_.file->Sync());
  }
  RETURN_IF_ERROR(files_.SyncNames());
  salt_ = position.salt;
  offset_ = position.tail_offset;
  unsealed_ = !position.last_group.empty() && !position.last_is_seal;
  return absl::OkStatus();
}

absl::Status WalWriter::OpenSegment(uint64_t generation,
                                    const std::optional<EntryId>& restart_after) {
  const uint64_t previous = segments_.empty() ? 0 : segments_.back().generation;
  if (!segments_.empty()) segments_.back().size_bytes = current_.filled_bytes;
  ASSIGN_OR_RETURN(current_, files_.Activate(generation));
  segments_.push_back(WalSegmentInfo{generation, current_.filled_bytes, last_entry_.index});
  salt_ = NextSalt();
  offset_ = 0;

  const std::string start = WalSegmentStart{previous}.Encode();
  const std::string vote = EncodeVote(hard_state_.voted_for);
  ASSIGN_OR_RETURN(const std::string voters, EncodeVoters(voters_.voters));
  builder_.Clear();
  builder_.Add(WalRecord{.type = WalRecordType::kSegmentStart,
                         .term = last_entry_.term,
                         .index = last_entry_.index,
                         .payload = start});
  builder_.Add(HardStateRecord(hard_state_, vote));
  builder_.Add(
      WalRecord{.type = WalRecordType::kVoters,
                .term = voters_.id.term,
                .index = voters_.id.index,
                .payload = MUTANT("wal.segment-without-voters") ? Slice() : Slice(voters)});
  if (restart_after.has_value()) {
    last_entry_ = *restart_after;
    builder_.Add(WalRecord{.type = WalRecordType::kRestart,
                           .term = restart_after->term,
                           .index = restart_after->index,
                           .payload = {}});
  }
  if (dependencies_.metrics != nullptr) dependencies_.metrics->segments_opened.Add();
  return WriteGroup(kWalFlagStart);
}

// Writes what is in the builder as the next group, and syncs it.
absl::Status WalWriter::WriteGroup(uint16_t flags) {
  WalGroupHeader header{.flags = flags,
                        .generation = segments_.back().generation,
                        .salt = salt_,
                        .number = number_ + 1,
                        .durable_through = number_,
                        .previous_chain = chain_};
  uint32_t chain = 0;
  const Slice group = builder_.Finish(&header, &chain);
  RETURN_IF_ERROR(files_.Fill(&current_, offset_ + group.size()));
  const MonotonicTime before = dependencies_.clock->Now();
  RETURN_IF_ERROR(current_.file->WriteAt(offset_, group));
  absl::Status synced = MUTANT("wal.not-synced") ? absl::OkStatus() : current_.file->Sync();
  if (!synced.ok() && MUTANT("wal.sync-tried-again")) synced = current_.file->Sync();
  RETURN_IF_ERROR(synced);
  last_group_at_ = dependencies_.clock->Now();
  number_ = header.number;
  chain_ = chain;
  offset_ += group.size();
  // A seal need not be sealed: if it is lost, nothing is.
  unsealed_ = (flags & kWalFlagSeal) == 0;
  if (WalMetrics* metrics = dependencies_.metrics; metrics != nullptr) {
    metrics->sync_seconds.Record(absl::ToDoubleSeconds(last_group_at_ - before));
    metrics->groups.Add();
    metrics->bytes.Add(static_cast<int64_t>(group.size()));
    if (!unsealed_) metrics->seals.Add();
  }
  return absl::OkStatus();
}

void WalWriter::Push(WalRecordType type, Term term, LogIndex index, Bytes payload,
                     uint8_t entry_type) {
  Staged staged{.payload = std::move(payload)};
  staged.record = WalRecord{.type = type,
                            .entry_type = entry_type,
                            .term = term,
                            .index = index,
                            .payload = staged.payload.slice()};
  staged_.push_back(std::move(staged));
}

void WalWriter::Stage(WalBatch batch) {
  if (stopped()) return;
  const size_t before = staged_.size();
  if (batch.hard_state.has_value()) {
    const HardState& state = *batch.hard_state;
    Push(WalRecordType::kHardState, state.term, state.commit,
         Bytes::FromString(EncodeVote(state.voted_for)));
  }
  if (batch.truncate_from.has_value()) {
    Push(WalRecordType::kTruncate, Term(0), *batch.truncate_from, Bytes());
  }
  if (batch.restart_after.has_value()) {
    Push(WalRecordType::kRestart, batch.restart_after->term, batch.restart_after->index, Bytes());
  }
  for (Entry& entry : batch.entries) {
    Push(WalRecordType::kEntry, entry.term, entry.index, std::move(entry.payload),
         static_cast<uint8_t>(entry.type));
  }
  if (batch.voters.has_value()) {
    absl::StatusOr<std::string> voters = EncodeVoters(batch.voters->voters);
    CHECK_OK(voters);  // Wal::Append has checked it.
    Push(WalRecordType::kVoters, batch.voters->id.term, batch.voters->id.index,
         Bytes::FromString(*std::move(voters)));
  }
  CHECK(staged_.size() > before) << "an empty batch";
  staged_.back().ends_batch = true;
  PostFlush();
}

// Moves staged records into the builder: as many as a group and the segment take, so none if the
// first does not fit into what is left of the segment. Returns how many batches end among them.
size_t WalWriter::FillGroup() {
  size_t batches = 0;
  const uint64_t room = options_.segment_bytes - offset_;
  builder_.Clear();
  while (!staged_.empty()) {
    const Staged& next = staged_.front();
    const uint64_t bytes = builder_.bytes() + WalRecordBytes(next.record.payload.size());
    if (bytes > room) break;
    if (!builder_.empty() && bytes > options_.group_bytes_max) break;
    builder_.Add(next.record);
    Track(next.record);
    if (next.ends_batch) ++batches;
    staged_.pop_front();
  }
  return batches;
}

// Keeps what the next segment's start repeats.
void WalWriter::Track(const WalRecord& record) {
  switch (record.type) {
    case WalRecordType::kHardState:
      hard_state_ = *DecodeHardState(record);
      break;
    case WalRecordType::kVoters:
      voters_ = VoterSet{EntryId{record.term, record.index}, *DecodeVoters(record.payload)};
      break;
    case WalRecordType::kTruncate:
      // The term of the entry before is not known here; 0 says so.
      if (record.index <= last_entry_.index) last_entry_ = EntryId{Term(0), record.index - 1};
      break;
    case WalRecordType::kRestart:
    case WalRecordType::kEntry:
      last_entry_ = EntryId{record.term, record.index};
      break;
    case WalRecordType::kSegmentStart:
      break;
  }
  WalSegmentInfo& current = segments_.back();
  current.index_max = std::max(current.index_max, last_entry_.index);
}

absl::Status WalWriter::Roll() {
  return OpenSegment(segments_.back().generation + 1, std::nullopt);
}

void WalWriter::PostFlush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  // By way of the queue: all that was appended while the last group synced is staged before.
  dependencies_.disk->Post([self = shared_from_this()] { self->Flush(); });
}

void WalWriter::Flush() {
  flush_posted_ = false;
  if (stopped() || staged_.empty()) return;
  size_t batches = 0;
  absl::Status status = [&]() -> absl::Status {
    batches = FillGroup();
    if (builder_.empty()) {
      RETURN_IF_ERROR(Roll());
      batches = FillGroup();
      CHECK(!builder_.empty()) << "a record that no segment can hold";
    }
    return WriteGroup(0);
  }();
  if (!status.ok()) return Fail(status);
  if (batches > 0) events_.persisted(batches);
  if (!staged_.empty()) PostFlush();
  ArmSeal();
  PostPreparation();
}

void WalWriter::ArmSeal() {
  if (seal_armed_ || !unsealed_ || MUTANT("wal.never-sealed")) return;
  seal_armed_ = true;
  dependencies_.disk->PostAt(last_group_at_ + options_.idle_seal_after,
                             [self = shared_from_this()] { self->SealIfIdle(); });
}

void WalWriter::SealIfIdle() {
  seal_armed_ = false;
  if (stopped() || !unsealed_) return;
  // Groups followed since the timer was set: wait for the end of the last of them.
  const bool idle =
      staged_.empty() && dependencies_.clock->Now() >= last_group_at_ + options_.idle_seal_after;
  if (!idle) return ArmSeal();
  builder_.Clear();
  absl::Status status = absl::OkStatus();
  if (offset_ + kWalBlockBytes <= options_.segment_bytes) {
    status = WriteGroup(kWalFlagSeal);
  } else {
    // A full segment is sealed by the start of the next, which in turn is sealed within it.
    status = Roll();
  }
  if (!status.ok()) return Fail(status);
  ArmSeal();
}

bool WalWriter::NeedsPreparation() const {
  const bool fill = current_.filled_bytes < options_.segment_bytes &&
                    current_.filled_bytes - offset_ < options_.fill_step_bytes / 2;
  const bool spare = !files_.has_spare() && offset_ > options_.segment_bytes / 2;
  return fill || spare;
}

void WalWriter::PostPreparation() {
  if (preparation_posted_ || !NeedsPreparation()) return;
  preparation_posted_ = true;
  dependencies_.disk->Post([self = shared_from_this()] {
    self->preparation_posted_ = false;
    if (self->stopped() || !self->NeedsPreparation()) return;
    if (absl::Status s = self->PrepareStep(); !s.ok()) self->Fail(s);
  });
}

// One bounded step after a group; the next comes after the next group.
absl::Status WalWriter::PrepareStep() {
  if (current_.filled_bytes == options_.segment_bytes) return files_.PrepareSpareStep();
  absl::Status status = files_.Fill(&current_, current_.filled_bytes + 1);
  // A full disk is told when a group needs the space, not before.
  if (CodeOf(status) == ErrorCode::kStorageFull) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  return current_.file->Sync();
}

void WalWriter::ReleaseBefore(LogIndex index) {
  if (stopped()) return;
  if (absl::Status s = Release(index); !s.ok()) Fail(s);
}

absl::Status WalWriter::Release(LogIndex index) {
  bool changed = false;
  while (segments_.size() > 1 && segments_.front().index_max < index) {
    RETURN_IF_ERROR(files_.Retire(segments_.front()));
    segments_.pop_front();
    changed = true;
  }
  return changed ? files_.SyncNames() : absl::OkStatus();
}

void WalWriter::Fail(const absl::Status& status) {
  failed_ = Annotate(
      status, absl::StrCat("WAL '", options_.directory, "' has stopped and must be opened again"));
  staged_.clear();
  current_.file.reset();
  events_.failed(failed_);
}

uint64_t WalWriter::NextSalt() { return Mix(salt_seed_ ^ Mix(segments_.back().generation)); }

}  // namespace millrace::raft
