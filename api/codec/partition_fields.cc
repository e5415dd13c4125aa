#include "api/codec/partition_fields.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"

namespace millrace::api {
namespace {

void ReadLeader(WireReader& outer, LeaderHint* hint) {
  WireReader reader(outer.Length());
  while (reader.Next()) {
    if (reader.Is(2, WireType::kVarint)) {
      hint->leader = NodeId(reader.Int32());
    } else if (reader.Is(3, WireType::kVarint)) {
      hint->leader_epoch = LeaderEpoch(reader.Int32());
    } else if (reader.Is(4, WireType::kLength)) {
      hint->address = ToStdString(reader.Text());
    } else {
      reader.Skip();
    }
  }
  if (!reader.ok()) outer.Fail();
}

}  // namespace

bool ReadOutcomeField(WireReader& reader, uint32_t leader_field, PartitionOutcome* outcome) {
  if (reader.Is(kCodeField, WireType::kVarint)) {
    outcome->code = static_cast<ErrorCode>(reader.Int32());
  } else if (reader.Is(kMessageField, WireType::kLength)) {
    outcome->message = ToStdString(reader.Text());
  } else if (reader.Is(leader_field, WireType::kLength)) {
    // proto3's default for a missing number is 0; a hint always has both.
    if (!outcome->leader) outcome->leader = LeaderHint{NodeId(0), LeaderEpoch(0), ""};
    ReadLeader(reader, &*outcome->leader);
  } else {
    return false;
  }
  return true;
}

int32_t ToMs(absl::Duration duration) {
  return static_cast<int32_t>(std::clamp<int64_t>(absl::ToInt64Milliseconds(duration),
                                                  std::numeric_limits<int32_t>::min(),
                                                  std::numeric_limits<int32_t>::max()));
}

absl::Status MalformedMessage(absl::string_view type, size_t partitions) {
  if (partitions > kMessagePartitionsMax) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("a ", type, " may name ", kMessagePartitionsMax,
                                  " partitions at most: send several"),
                     {.name = std::string(type)});
  }
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("the bytes are not a ", type,
                                ": send a message of this type, with topic ids of 16 bytes"),
                   {.name = std::string(type)});
}

}  // namespace millrace::api
