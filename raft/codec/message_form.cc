#include "raft/codec/message_form.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

absl::Status Misfit(absl::string_view field, int64_t value, absl::string_view why) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("a message's ", field, " is ", value, ": ", why),
                   {.name = std::string(field), .value = absl::StrCat(value)});
}

template <class Position>
absl::Status CheckPosition(absl::string_view field, Position position) {
  const int64_t value = position.value();
  if (value >= 0 && value <= kPositionMax) return absl::OkStatus();
  return Misfit(field, value, "out of range");
}

// An entry of no term is the one before the first.
absl::Status CheckId(absl::string_view field, const EntryId& id) {
  RETURN_IF_ERROR(CheckPosition(field, id.term));
  RETURN_IF_ERROR(CheckPosition(field, id.index));
  if (id.index == LogIndex(0) && id.term != Term(0)) {
    return Misfit(field, id.term.value(), "the term of an entry before the first");
  }
  return absl::OkStatus();
}

absl::Status CheckSize(absl::string_view field, uint64_t size, uint64_t size_max) {
  if (size <= size_max) return absl::OkStatus();
  return Misfit(field, static_cast<int64_t>(size), absl::StrCat("more than ", size_max));
}

absl::Status CheckEntry(const Entry& entry) {
  switch (entry.type) {
    case EntryType::kNoOp:
      return CheckSize("no-op's size", entry.payload.size(), 0);
    case EntryType::kPayload:
      return absl::OkStatus();
    case EntryType::kVoters:
      return DecodeVoters(entry.payload).status();
  }
  return Misfit("entry type", static_cast<int64_t>(entry.type), "unknown");
}

struct BodyCheck {
  Term term;

  absl::Status operator()(const VoteRequest& m) const {
    RETURN_IF_ERROR(CheckPosition("campaign term", m.campaign_term));
    return CheckId("last entry", m.last);
  }
  absl::Status operator()(const VoteResponse& m) const {
    return CheckPosition("campaign term", m.campaign_term);
  }
  absl::Status operator()(const AppendRequest& m) const {
    RETURN_IF_ERROR(CheckId("previous entry", m.previous));
    RETURN_IF_ERROR(CheckPosition("commit index", m.commit));
    EntryId before = m.previous;
    for (const Entry& entry : m.entries) {
      if (entry.index != before.index + 1) {
        return Misfit("entry's index", entry.index.value(), "does not follow the one before");
      }
      RETURN_IF_ERROR(CheckId("entry", entry.id()));
      if (entry.term < before.term || entry.term > term) {
        return Misfit("entry's term", entry.term.value(),
                      "below that of the one before, or above the sender's");
      }
      RETURN_IF_ERROR(CheckEntry(entry));
      before = entry.id();
    }
    return absl::OkStatus();
  }
  absl::Status operator()(const AppendResponse& m) const {
    RETURN_IF_ERROR(CheckPosition("match", m.match));
    RETURN_IF_ERROR(CheckPosition("refused", m.refused));
    RETURN_IF_ERROR(CheckId("hint", m.hint));
    return CheckPosition("last index", m.last);
  }
  absl::Status operator()(const SnapshotOffer& m) const {
    RETURN_IF_ERROR(CheckSnapshot(m.id));
    return CheckId("voters' entry", m.voters.id);
  }
  absl::Status operator()(const SnapshotChunk& m) const {
    RETURN_IF_ERROR(CheckSnapshot(m.id));
    RETURN_IF_ERROR(CheckSize("chunk's offset", m.offset, m.id.bytes));
    if (m.size != m.data.size()) {
      return Misfit("chunk's size", static_cast<int64_t>(m.size), "not that of its data");
    }
    return CheckSize("chunk's end", m.offset + m.size, m.id.bytes);
  }
  absl::Status operator()(const SnapshotResponse& m) const {
    RETURN_IF_ERROR(CheckSnapshot(m.id));
    return CheckSize("received", m.received, m.id.bytes);
  }
  absl::Status operator()(const TimeoutNow&) const { return absl::OkStatus(); }

  static absl::Status CheckSnapshot(const SnapshotId& id) {
    RETURN_IF_ERROR(CheckId("snapshot's last entry", id.last));
    return CheckSize("snapshot's size", id.bytes, kPositionMax);
  }
};

}  // namespace

absl::Status CheckForm(const Message& message) {
  RETURN_IF_ERROR(CheckPosition("sender", message.from.node));
  RETURN_IF_ERROR(CheckPosition("receiver", message.to.node));
  RETURN_IF_ERROR(CheckPosition("term", message.term));
  return std::visit(BodyCheck{message.term}, message.body);
}

}  // namespace millrace::raft
