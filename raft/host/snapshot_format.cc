#include "raft/host/snapshot_format.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

// What EncodeVoters makes of kVotersMax long addresses: count, and per voter its id, flags, size.
constexpr uint32_t kVotersBytesMax = 2 + kVotersMax * (4 + 16 + 1 + 2 + kVoterAddressBytesMax);
constexpr size_t kDigits = 20;

uint32_t UnmaskCrc(uint32_t masked) {
  const uint32_t rotated = masked - kSnapshotMaskDelta;
  return (rotated << 15) | (rotated >> 17);
}

uint64_t BlockCount(uint64_t body_bytes) {
  return (body_bytes + kSnapshotBlockBytes - 1) / kSnapshotBlockBytes;
}

// Appends a section and the CRC of all sections so far.
void AppendSection(Slice content, uint32_t* chain, std::string* out) {
  out->append(content.data(), content.size());
  *chain = Crc32cExtend(*chain, content);
  AppendLittle<uint32_t>(MaskSnapshotCrc(*chain), out);
}

absl::Status CannotBe(absl::string_view what) {
  return MakeError(ErrorCode::kInvalidRequest, absl::StrCat("no snapshot can be made: ", what));
}

// A number of exactly `digits` decimal digits.
std::optional<uint64_t> ParseDigits(absl::string_view text, size_t digits) {
  uint64_t value = 0;
  if (text.size() != digits) return std::nullopt;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
  }
  if (!absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

std::optional<EntryId> ParseLast(absl::string_view index, absl::string_view term) {
  const std::optional<uint64_t> index_value = ParseDigits(index, kDigits);
  const std::optional<uint64_t> term_value = ParseDigits(term, kDigits);
  if (!index_value.has_value() || !term_value.has_value() || *index_value > INT64_MAX ||
      *term_value > INT64_MAX) {
    return std::nullopt;
  }
  return EntryId{Term(static_cast<int64_t>(*term_value)),
                 LogIndex(static_cast<int64_t>(*index_value))};
}

// The parts of a name, without its suffix; nothing unless there are `count` of them.
std::optional<std::vector<absl::string_view>> NameParts(absl::string_view name,
                                                        absl::string_view suffix, size_t count) {
  if (!absl::EndsWith(name, suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  std::vector<absl::string_view> parts = absl::StrSplit(name, '-');
  if (parts.size() != count) return std::nullopt;
  return parts;
}

}  // namespace

uint64_t SnapshotHead::FileBytes() const {
  return head_bytes + body_bytes + BlockCount(body_bytes) * kSnapshotCrcBytes;
}

absl::StatusOr<std::string> EncodeSnapshotFile(const EntryId& last, const VoterSet& voters,
                                               Slice body) {
  if (last.index < LogIndex(1) || last.term < Term(1)) {
    return CannotBe(absl::StrCat("its last entry would be index ", last.index.value(), " of term ",
                                 last.term.value()));
  }
  ASSIGN_OR_RETURN(const std::string encoded_voters, EncodeVoters(voters.voters));
  SnapshotHead head;
  head.body_bytes = body.size();
  head.head_bytes = kSnapshotHeaderBytes + encoded_voters.size() + kSnapshotCrcBytes;
  if (body.size() > kSnapshotBytesMax || head.FileBytes() > kSnapshotBytesMax) {
    return CannotBe(
        absl::StrCat("a body of ", body.size(), " bytes makes a file beyond ", kSnapshotBytesMax));
  }
  std::string header;
  AppendLittle<uint32_t>(kSnapshotMagic, &header);
  AppendLittle<uint32_t>(kSnapshotVersion, &header);
  AppendLittle<int64_t>(last.term.value(), &header);
  AppendLittle<int64_t>(last.index.value(), &header);
  AppendLittle<int64_t>(voters.id.term.value(), &header);
  AppendLittle<int64_t>(voters.id.index.value(), &header);
  AppendLittle<uint64_t>(body.size(), &header);
  AppendLittle<uint32_t>(static_cast<uint32_t>(encoded_voters.size()), &header);

  std::string out;
  out.reserve(head.FileBytes());
  uint32_t chain = 0;
  AppendSection(header, &chain, &out);
  AppendSection(encoded_voters, &chain, &out);
  for (size_t at = 0; at < body.size(); at += kSnapshotBlockBytes) {
    AppendSection(body.substr(at, kSnapshotBlockBytes), &chain, &out);
  }
  CHECK_EQ(out.size(), head.FileBytes());
  return out;
}

SnapshotParser::SnapshotParser(const SnapshotHead& head, uint64_t number, uint32_t stored_crc)
    : body_(nullptr), head_(head), chain_(UnmaskCrc(stored_crc)) {
  CHECK_LT(number, BlockCount(head.body_bytes));
  body_left_ = head.body_bytes - number * kSnapshotBlockBytes;
  verified_bytes_ = head.BlockAt(number);
  state_ = State::kBlock;
}

size_t SnapshotParser::SectionBytes() const {
  switch (state_) {
    case State::kHeader:
      return kSnapshotHeaderBytes;
    case State::kVoters:
      return voters_bytes_ + kSnapshotCrcBytes;
    case State::kBlock:
      return std::min<uint64_t>(body_left_, kSnapshotBlockBytes) + kSnapshotCrcBytes;
    case State::kDone:
      return 0;
  }
  return 0;
}

absl::Status SnapshotParser::Add(Slice bytes) {
  checksum_ = Crc32cExtend(checksum_, bytes);
  while (!bytes.empty()) {
    if (state_ == State::kDone) return Corrupt("more bytes than the header announces");
    const size_t wanted = SectionBytes();
    if (pending_.empty() && bytes.size() >= wanted) {
      RETURN_IF_ERROR(TakeSection(bytes.substr(0, wanted)));
      bytes.remove_prefix(wanted);
      continue;
    }
    const size_t taken = std::min(wanted - pending_.size(), bytes.size());
    pending_.append(bytes.data(), taken);
    bytes.remove_prefix(taken);
    if (pending_.size() < wanted) continue;
    RETURN_IF_ERROR(TakeSection(pending_));
    pending_.clear();
  }
  return absl::OkStatus();
}

absl::Status SnapshotParser::TakeSection(Slice section) {
  const Slice content = section.substr(0, section.size() - kSnapshotCrcBytes);
  const uint32_t chain = Crc32cExtend(chain_, content);
  if (MaskSnapshotCrc(chain) != LoadLittle<uint32_t>(section.data() + content.size())) {
    return Corrupt(state_ == State::kHeader   ? "the header's checksum is wrong"
                   : state_ == State::kVoters ? "the voters' checksum is wrong"
                                              : "a block's checksum is wrong");
  }
  chain_ = chain;
  switch (state_) {
    case State::kHeader:
      RETURN_IF_ERROR(TakeHeader(content));
      break;
    case State::kVoters:
      RETURN_IF_ERROR(TakeVoters(content));
      break;
    default:
      if (body_ != nullptr) body_->append(content.data(), content.size());
      body_left_ -= content.size();
      if (body_left_ == 0) state_ = State::kDone;
  }
  verified_bytes_ += section.size();
  return absl::OkStatus();
}

absl::Status SnapshotParser::TakeHeader(Slice content) {
  const char* at = content.data();
  if (LoadLittle<uint32_t>(at) != kSnapshotMagic) return Corrupt("it is not a snapshot");
  // Behind the checksum, so that damage is not taken for another version.
  const uint32_t version = LoadLittle<uint32_t>(at + 4);
  if (version > kSnapshotVersion) {
    return MakeError(
        ErrorCode::kUnsupportedFormatVersion,
        absl::StrCat("the snapshot is of format ", version, ", but this program reads ",
                     kSnapshotVersion, ": run a newer one"),
        {.value = absl::StrCat(version)});
  }
  head_.last = EntryId{Term(LoadLittle<int64_t>(at + 8)), LogIndex(LoadLittle<int64_t>(at + 16))};
  head_.voters.id =
      EntryId{Term(LoadLittle<int64_t>(at + 24)), LogIndex(LoadLittle<int64_t>(at + 32))};
  head_.body_bytes = LoadLittle<uint64_t>(at + 40);
  voters_bytes_ = LoadLittle<uint32_t>(at + 48);
  if (version == 0 || head_.last.index < LogIndex(1) || head_.last.term < Term(1) ||
      head_.body_bytes > kSnapshotBytesMax || voters_bytes_ > kVotersBytesMax) {
    return Corrupt("the header says what cannot be");
  }
  state_ = State::kVoters;
  return absl::OkStatus();
}

absl::Status SnapshotParser::TakeVoters(Slice content) {
  absl::StatusOr<std::vector<Voter>> voters = DecodeVoters(content);
  if (!voters.ok()) return Corrupt(voters.status().message());
  head_.voters.voters = *std::move(voters);
  head_.head_bytes = kSnapshotHeaderBytes + content.size() + kSnapshotCrcBytes;
  body_left_ = head_.body_bytes;
  state_ = body_left_ == 0 ? State::kDone : State::kBlock;
  return absl::OkStatus();
}

absl::Status SnapshotParser::CheckComplete() const {
  if (complete()) return absl::OkStatus();
  const std::string wanted = has_head() ? absl::StrCat(" of ", head_.FileBytes()) : std::string();
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("it ends at byte ", verified_bytes_ + pending_.size(), wanted));
}

absl::Status SnapshotParser::Corrupt(absl::string_view what) const {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("damaged at byte ", verified_bytes_, ": ", what));
}

std::string SnapshotFileName(const EntryId& last) {
  return absl::StrFormat("%020d-%020d%s", last.index.value(), last.term.value(), kSnapshotSuffix);
}

std::optional<EntryId> ParseSnapshotFileName(absl::string_view name) {
  const auto parts = NameParts(name, kSnapshotSuffix, 2);
  if (!parts.has_value()) return std::nullopt;
  return ParseLast((*parts)[0], (*parts)[1]);
}

std::string ReceivedFileName(const SnapshotId& id) {
  return absl::StrFormat("%020d-%020d-%020u-%08x%s", id.last.index.value(), id.last.term.value(),
                         id.bytes, id.checksum, kReceivedSnapshotSuffix);
}

std::optional<SnapshotId> ParseReceivedFileName(absl::string_view name) {
  const auto parts = NameParts(name, kReceivedSnapshotSuffix, 4);
  if (!parts.has_value()) return std::nullopt;
  const std::optional<EntryId> last = ParseLast((*parts)[0], (*parts)[1]);
  const std::optional<uint64_t> bytes = ParseDigits((*parts)[2], kDigits);
  uint32_t checksum = 0;
  if (!last.has_value() || !bytes.has_value() || (*parts)[3].size() != 8 ||
      !absl::SimpleHexAtoi((*parts)[3], &checksum)) {
    return std::nullopt;
  }
  const SnapshotId id{*last, *bytes, checksum};
  // Capital digits, say, would be a second name of the same.
  if (ReceivedFileName(id) != name) return std::nullopt;
  return id;
}

bool IsSnapshotPath(absl::string_view path) {
  const absl::string_view name = path.substr(path.rfind('/') + 1);
  return ParseSnapshotFileName(name).has_value() || ParseReceivedFileName(name).has_value();
}

}  // namespace millrace::raft
