#include "raft/messages.h"

#include <sstream>

#include "absl/strings/str_cat.h"

namespace millrace::raft {
namespace {

std::string Id(const EntryId& id) { return absl::StrCat(id.term.value(), ":", id.index.value()); }

struct Describer {
  std::string operator()(const VoteRequest& m) const {
    return absl::StrCat(m.pre_vote ? "pre-vote?" : "vote?", " for=t", m.campaign_term.value(),
                        " last=", Id(m.last), m.leadership_transfer ? " transfer" : "");
  }
  std::string operator()(const VoteResponse& m) const {
    return absl::StrCat(m.pre_vote ? "pre-vote " : "vote ", m.granted ? "yes" : "no", " for=t",
                        m.campaign_term.value());
  }
  std::string operator()(const AppendRequest& m) const {
    std::string out =
        absl::StrCat(m.entries.empty() ? "heartbeat" : "append", " prev=", Id(m.previous));
    if (!m.entries.empty()) {
      out += " entries=[";
      for (const Entry& entry : m.entries) {
        if (&entry != &m.entries.front()) out += " ";
        out += Describe(entry);
      }
      out += "]";
    }
    absl::StrAppend(&out, " commit=", m.commit.value());
    return out;
  }
  std::string operator()(const AppendResponse& m) const {
    if (m.accepted) return absl::StrCat("accepted match=", m.match.value(), m.full ? " full" : "");
    return absl::StrCat("refused prev=", m.refused.value(), " hint=", Id(m.hint),
                        " last=", m.last.value());
  }
  std::string operator()(const SnapshotOffer& m) const {
    return absl::StrCat("snapshot? last=", Id(m.id.last), " bytes=", m.id.bytes);
  }
  std::string operator()(const SnapshotChunk& m) const {
    return absl::StrCat("chunk of=", Id(m.id.last), " bytes=", m.offset, "+", m.size);
  }
  std::string operator()(const SnapshotResponse& m) const {
    return absl::StrCat("received of=", Id(m.id.last), " bytes=", m.received);
  }
  std::string operator()(const TimeoutNow&) const { return "timeout-now"; }
};

}  // namespace

std::string Describe(const Entry& entry) {
  switch (entry.type) {
    case EntryType::kNoOp:
      return absl::StrCat(Id(entry.id()), "/no-op");
    case EntryType::kVoters:
      return absl::StrCat(Id(entry.id()), "/voters");
    case EntryType::kPayload:
      break;
  }
  return Id(entry.id());
}

// A voter is shown by its node alone: a trace has few directories, and their ids are long.
std::string Describe(const Message& message) {
  return absl::StrCat(message.from.node.value(), ">", message.to.node.value(), " t",
                      message.term.value(), " ", std::visit(Describer(), message.body));
}

std::ostream& operator<<(std::ostream& out, const Message& message) {
  return out << Describe(message);
}

std::ostream& operator<<(std::ostream& out, const SnapshotId& id) {
  return out << id.last << "/" << id.bytes << "/" << id.checksum;
}

}  // namespace millrace::raft
