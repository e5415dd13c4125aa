#include "raft/types.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

constexpr uint8_t kLearnerFlag = 1;

}  // namespace

const Voter* VoterSet::Find(const VoterId& voter) const {
  auto it = std::find_if(voters.begin(), voters.end(),
                         [&voter](const Voter& v) { return v.id == voter; });
  return it == voters.end() ? nullptr : &*it;
}

absl::StatusOr<std::string> EncodeVoters(const std::vector<Voter>& voters) {
  if (voters.size() > kVotersMax) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat(voters.size(), " voters; the maximum is ", kVotersMax),
                     {.name = "voters", .value = absl::StrCat(voters.size())});
  }
  std::string out;
  AppendLittle<uint16_t>(static_cast<uint16_t>(voters.size()), &out);
  for (const Voter& voter : voters) {
    if (voter.address.size() > kVoterAddressBytesMax) {
      return MakeError(
          ErrorCode::kInvalidRequest,
          absl::StrCat("the address of voter ", voter.id.node.value(), " has ",
                       voter.address.size(), " bytes; the maximum is ", kVoterAddressBytesMax),
          {.name = "address", .value = voter.address.substr(0, 64)});
    }
    AppendLittle<int32_t>(voter.id.node.value(), &out);
    out += voter.id.directory.ToBytes();
    out.push_back(static_cast<char>(voter.learner ? kLearnerFlag : 0));
    AppendLittle<uint16_t>(static_cast<uint16_t>(voter.address.size()), &out);
    out += voter.address;
  }
  return out;
}

absl::StatusOr<std::vector<Voter>> DecodeVoters(absl::string_view bytes) {
  Reader reader(bytes);
  uint16_t count = 0;
  if (!reader.ReadLittle(&count) || count > kVotersMax) return ReadFailed(reader, "voter count");
  std::vector<Voter> voters;
  for (uint16_t i = 0; i < count; ++i) {
    int32_t node = 0;
    Slice directory;
    uint8_t flags = 0;
    uint16_t address_size = 0;
    Slice address;
    if (!reader.ReadLittle(&node) || !reader.ReadBytes(Uuid::kSize, &directory) ||
        !reader.ReadLittle(&flags) || flags > kLearnerFlag || !reader.ReadLittle(&address_size) ||
        address_size > kVoterAddressBytesMax || !reader.ReadBytes(address_size, &address)) {
      return ReadFailed(reader, "voter");
    }
    ASSIGN_OR_RETURN(const DirectoryId id, DirectoryId::FromBytes(directory));
    voters.push_back(Voter{VoterId{NodeId(node), id}, std::string(address), flags != 0});
  }
  if (!reader.empty()) return ReadFailed(reader, "end of the voter list");
  return voters;
}

}  // namespace millrace::raft
