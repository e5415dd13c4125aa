#include "node/quorum_voters.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "raft/types.h"

namespace millrace::node {
namespace {

constexpr char kKey[] = "controller.quorum.voters";

absl::Status Invalid(absl::string_view entry, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(kKey, ": '", entry, "' ", why),
                   {.name = kKey, .value = std::string(entry)});
}

bool IsAddress(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return false;
  absl::string_view host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of(":[]") != absl::string_view::npos) return false;
  const absl::string_view digits = address.substr(colon + 1);
  int port = 0;
  return !digits.empty() && absl::ascii_isdigit(digits.front()) &&
         absl::SimpleAtoi(digits, &port) && port > 0 && port <= 65535;
}

absl::StatusOr<raft::Peer> ParseVoter(absl::string_view entry) {
  const size_t at = entry.find('@');
  int32_t id = -1;
  if (at == absl::string_view::npos || at == 0 || !absl::ascii_isdigit(entry.front()) ||
      !absl::SimpleAtoi(entry.substr(0, at), &id) || id < 0) {
    return Invalid(entry, "is not id@host:port with the node.id of a controller");
  }
  const absl::string_view address = entry.substr(at + 1);
  if (!IsAddress(address) || address.size() > raft::kVoterAddressBytesMax) {
    return Invalid(entry,
                   "is not id@host:port with a host and a port from 1 to 65535; an IPv6 address "
                   "stands in brackets");
  }
  return raft::Peer{.node = NodeId(id), .address = std::string(address)};
}

}  // namespace

absl::StatusOr<std::vector<raft::Peer>> ParseQuorumVoters(absl::string_view text) {
  std::vector<raft::Peer> voters;
  if (absl::StripAsciiWhitespace(text).empty()) return voters;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::string_view entry = absl::StripAsciiWhitespace(part);
    ASSIGN_OR_RETURN(raft::Peer voter, ParseVoter(entry));
    for (const raft::Peer& other : voters) {
      if (other.node == voter.node) {
        return Invalid(entry, absl::StrCat("names node ", voter.node.value(), " a second time"));
      }
      if (other.address == voter.address) {
        return Invalid(entry, absl::StrCat("has the address of node ", other.node.value()));
      }
    }
    if (voters.size() == raft::kVotersMax) {
      return Invalid(entry, absl::StrCat("is one too many: a quorum has at most ", raft::kVotersMax,
                                         " voters, and 3 or 5 are enough"));
    }
    voters.push_back(std::move(voter));
  }
  std::sort(voters.begin(), voters.end(),
            [](const raft::Peer& a, const raft::Peer& b) { return a.node < b.node; });
  return voters;
}

}  // namespace millrace::node
