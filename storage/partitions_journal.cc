#include "storage/partitions_journal.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/status.h"
#include "storage/file_names.h"

namespace millrace::storage {
namespace {

// What an entry says of the replica `number`.
enum EntryType : uint8_t {
  kCreated = 1,    // {16 bytes topic id, i32 partition, i64 log start, u8 flags, name}
  kHasData = 2,    // {}
  kDeleted = 3,    // {}
  kStray = 4,      // {}
  kLogStart = 5,   // {i64 log start}
  kNext = 6,       // {}: no number below this one is free
  kTakenBack = 7,  // {}: stray no more
};
constexpr uint8_t kHasDataFlag = 1;
constexpr uint8_t kStrayFlag = 2;

std::string Head(EntryType type, uint32_t number) {
  std::string out;
  AppendLittle<uint8_t>(type, &out);
  AppendLittle<uint32_t>(number, &out);
  return out;
}

std::string EncodeCreated(const ReplicaRecord& replica) {
  std::string out = Head(kCreated, replica.number);
  out += replica.topic_partition.topic_id.ToBytes();
  AppendLittle<int32_t>(replica.topic_partition.partition.value(), &out);
  AppendLittle<int64_t>(replica.log_start.value(), &out);
  AppendLittle<uint8_t>(static_cast<uint8_t>((replica.has_data ? kHasDataFlag : 0) |
                                             (replica.stray ? kStrayFlag : 0)),
                        &out);
  out += replica.topic_name;
  return out;
}

bool DecodeCreated(Reader* reader, ReplicaRecord* replica) {
  Slice id;
  int32_t partition = 0;
  int64_t log_start = 0;
  uint8_t flags = 0;
  if (!reader->ReadBytes(Uuid::kSize, &id) || !reader->ReadLittle(&partition) ||
      !reader->ReadLittle(&log_start) || !reader->ReadLittle(&flags)) {
    return false;
  }
  const absl::StatusOr<TopicId> topic_id = TopicId::FromBytes(id);
  if (!topic_id.ok()) return false;
  replica->topic_partition = {*topic_id, PartitionIndex(partition)};
  replica->topic_name = std::string(reader->rest());
  replica->log_start = Offset(log_start);
  replica->has_data = (flags & kHasDataFlag) != 0;
  replica->stray = (flags & kStrayFlag) != 0;
  return true;
}

}  // namespace

void PartitionsJournal::Index(const ReplicaRecord& replica) {
  numbers_[replica.topic_partition] = replica.number;
  if (!replica.stray) {
    numbers_by_name_[PartitionName(replica.topic_name, replica.topic_partition.partition)] =
        replica.number;
  }
}

void PartitionsJournal::UnindexName(const ReplicaRecord& replica) {
  const auto name =
      numbers_by_name_.find(PartitionName(replica.topic_name, replica.topic_partition.partition));
  // A successor may have the name by now.
  if (name != numbers_by_name_.end() && name->second == replica.number) {
    numbers_by_name_.erase(name);
  }
}

void PartitionsJournal::Unindex(const ReplicaRecord& replica) {
  UnindexName(replica);
  const auto number = numbers_.find(replica.topic_partition);
  if (number != numbers_.end() && number->second == replica.number) numbers_.erase(number);
}

const ReplicaRecord* PartitionsJournal::Find(const TopicPartition& topic_partition) const {
  const auto found = numbers_.find(topic_partition);
  return found == numbers_.end() ? nullptr : &replicas_.at(found->second);
}

const ReplicaRecord* PartitionsJournal::FindByName(const std::string& partition_name) const {
  const auto found = numbers_by_name_.find(partition_name);
  return found == numbers_by_name_.end() ? nullptr : &replicas_.at(found->second);
}

absl::Status PartitionsJournal::Replay(Slice entry) {
  Reader reader(entry);
  uint8_t type = 0;
  ReplicaRecord replica;
  const absl::Status bad =
      MakeError(ErrorCode::kCorruptLog,
                absl::StrCat("journal '", path_, "' has an entry that contradicts those before it"),
                {.name = path_});
  if (!reader.ReadLittle(&type) || !reader.ReadLittle(&replica.number)) return bad;
  next_number_ = std::max(next_number_, type == kNext ? replica.number : replica.number + 1);
  if (type == kNext) return absl::OkStatus();
  if (type == kCreated) {
    if (!DecodeCreated(&reader, &replica)) return bad;
    if (!replicas_.try_emplace(replica.number, replica).second) return bad;
    Index(replica);
    return absl::OkStatus();
  }
  const auto found = replicas_.find(replica.number);
  if (found == replicas_.end()) return bad;
  int64_t log_start = 0;
  switch (type) {
    case kHasData:
      found->second.has_data = true;
      return absl::OkStatus();
    case kStray:
      found->second.stray = true;
      UnindexName(found->second);
      return absl::OkStatus();
    case kTakenBack:
      found->second.stray = false;
      Index(found->second);
      return absl::OkStatus();
    case kDeleted:
      deleted_.push_back(found->second);
      Unindex(found->second);
      replicas_.erase(found);
      return absl::OkStatus();
    case kLogStart:
      if (!reader.ReadLittle(&log_start)) return bad;
      found->second.log_start = Offset(log_start);
      return absl::OkStatus();
    default:
      return MakeError(ErrorCode::kUnsupportedFormatVersion,
                       absl::StrCat("journal '", path_, "' has an entry of unknown type ", type,
                                    ": it was written by a newer program"),
                       {.name = path_, .value = absl::StrCat(type)});
  }
}

absl::Status PartitionsJournal::Load() {
  ASSIGN_OR_RETURN(const JournalContents contents,
                   ReadJournal(*files_, path_, JournalKind::kPartitions));
  found_ = contents.found;
  if (contents.damaged_at != 0) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("journal '", path_, "' is damaged at byte ", contents.damaged_at,
                                  ", before valid entries: which replicas the directory holds is "
                                  "not known; restore it, or empty the directory"),
                     {.name = path_, .value = absl::StrCat(contents.damaged_at)});
  }
  const auto mark = syncs_->marks().find(SyncJournal::kPartitionsJournal);
  if (mark != syncs_->marks().end() &&
      static_cast<int64_t>(contents.sequence) < mark->second.value()) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("journal '", path_, "' ends with frame ", contents.sequence,
                                  ", but frame ", mark->second.value(),
                                  " was synced: its end is damaged; restore it, or empty the "
                                  "directory"),
                     {.name = path_, .value = absl::StrCat(contents.sequence)});
  }
  journal_.ContinueFrom(contents.sequence);
  for (const std::string& entry : contents.entries) RETURN_IF_ERROR(Replay(entry));
  return absl::OkStatus();
}

void PartitionsJournal::Vouch() {
  syncs_->SetDurable(SyncJournal::kPartitionsJournal,
                     Offset(static_cast<int64_t>(journal_.sequence())));
}

void PartitionsJournal::Finish() {
  journal_.Finish();
  Vouch();
}

absl::Status PartitionsJournal::Flush() {
  if (!journal_.has_pending()) return absl::OkStatus();
  RETURN_IF_ERROR(journal_.Flush());
  Vouch();
  return absl::OkStatus();
}

absl::Status PartitionsJournal::Rewrite() {
  std::vector<std::string> entries = {Head(kNext, next_number_)};
  for (const auto& [number, replica] : replicas_) entries.push_back(EncodeCreated(replica));
  RETURN_IF_ERROR(journal_.Rewrite(entries));
  Vouch();
  return absl::OkStatus();
}

uint32_t PartitionsJournal::Create(const TopicPartition& topic_partition,
                                   const std::string& topic_name) {
  ReplicaRecord replica;
  replica.number = next_number_++;
  replica.topic_partition = topic_partition;
  replica.topic_name = topic_name;
  journal_.Add(EncodeCreated(replica));
  replicas_[replica.number] = replica;
  Index(replica);
  return replica.number;
}

void PartitionsJournal::SetHasData(uint32_t number) {
  replicas_.at(number).has_data = true;
  journal_.Add(Head(kHasData, number));
}

void PartitionsJournal::SetStray(uint32_t number) {
  replicas_.at(number).stray = true;
  UnindexName(replicas_.at(number));
  journal_.Add(Head(kStray, number));
}

void PartitionsJournal::TakeBack(uint32_t number) {
  ReplicaRecord& replica = replicas_.at(number);
  CHECK(FindByName(PartitionName(replica.topic_name, replica.topic_partition.partition)) ==
        nullptr);
  replica.stray = false;
  Index(replica);
  journal_.Add(Head(kTakenBack, number));
}

void PartitionsJournal::SetLogStart(uint32_t number, Offset log_start) {
  replicas_.at(number).log_start = log_start;
  std::string entry = Head(kLogStart, number);
  AppendLittle<int64_t>(log_start.value(), &entry);
  journal_.Add(entry);
}

void PartitionsJournal::Delete(uint32_t number) {
  Unindex(replicas_.at(number));
  replicas_.erase(number);
  journal_.Add(Head(kDeleted, number));
}

}  // namespace millrace::storage
