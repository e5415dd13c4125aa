#include "raft/host/wal_format.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"

namespace millrace::raft {
namespace {

// Where fields stand in a group header; the page in docs/formats has the same table.
constexpr size_t kHeaderCrcAt = kWalGroupHeaderBytes - 4;
// Where a record's chain value stands: after all else in its header.
constexpr size_t kRecordChainAt = kWalRecordHeaderBytes - 4;
constexpr size_t kVoteBytes = 4 + Uuid::kSize;
constexpr absl::string_view kSegmentSuffix = ".wal";
constexpr size_t kGenerationDigits = 20;

uint64_t RoundUpToBlock(uint64_t bytes) {
  return (bytes + kWalBlockBytes - 1) / kWalBlockBytes * kWalBlockBytes;
}

// The chain's value after a record: over its header, without the place of the value, and payload.
uint32_t ChainRecord(uint32_t chain, const char* header, Slice payload) {
  return Crc32cExtend(Crc32cExtend(chain, Slice(header, kRecordChainAt)), payload);
}

void StoreHeader(const WalGroupHeader& header, char* at) {
  StoreLittle<uint32_t>(at, kWalMagic);
  StoreLittle<uint16_t>(at + 4, header.version);
  StoreLittle<uint16_t>(at + 6, header.flags);
  StoreLittle<uint64_t>(at + 8, header.generation);
  StoreLittle<uint64_t>(at + 16, header.salt);
  StoreLittle<uint64_t>(at + 24, header.number);
  StoreLittle<uint64_t>(at + 32, header.durable_through);
  StoreLittle<uint32_t>(at + 40, header.body_bytes);
  StoreLittle<uint32_t>(at + 44, header.record_count);
  StoreLittle<uint32_t>(at + 48, header.previous_chain);
}

}  // namespace

uint64_t WalGroupHeader::TotalBytes() const {
  return RoundUpToBlock(kWalGroupHeaderBytes + body_bytes);
}

std::string WalSegmentStart::Encode() const {
  std::string out;
  AppendLittle<uint64_t>(previous_generation, &out);
  return out;
}

std::optional<WalSegmentStart> WalSegmentStart::Decode(Slice payload) {
  Reader reader(payload);
  WalSegmentStart start;
  if (!reader.ReadLittle(&start.previous_generation) || !reader.empty()) return std::nullopt;
  return start;
}

std::string EncodeVote(const std::optional<VoterId>& voted_for) {
  std::string out;
  if (!voted_for.has_value()) return out;
  AppendLittle<int32_t>(voted_for->node.value(), &out);
  out += voted_for->directory.ToBytes();
  return out;
}

WalRecord HardStateRecord(const HardState& hard_state, Slice encoded_vote) {
  return WalRecord{.type = WalRecordType::kHardState,
                   .term = hard_state.term,
                   .index = hard_state.commit,
                   .payload = encoded_vote};
}

std::optional<HardState> DecodeHardState(const WalRecord& record) {
  HardState out{.term = record.term, .commit = record.index};
  if (record.payload.empty()) return out;
  Reader reader(record.payload);
  int32_t node = 0;
  Slice directory;
  if (record.payload.size() != kVoteBytes || !reader.ReadLittle(&node) ||
      !reader.ReadBytes(Uuid::kSize, &directory)) {
    return std::nullopt;
  }
  absl::StatusOr<DirectoryId> id = DirectoryId::FromBytes(directory);
  if (!id.ok()) return std::nullopt;
  out.voted_for = VoterId{NodeId(node), *id};
  return out;
}

std::string WalSegmentName(uint64_t generation) {
  return absl::StrFormat("%020u%s", generation, kSegmentSuffix);
}

std::optional<uint64_t> ParseWalSegmentName(absl::string_view name) {
  if (name.size() != kGenerationDigits + kSegmentSuffix.size() ||
      name.substr(kGenerationDigits) != kSegmentSuffix) {
    return std::nullopt;
  }
  uint64_t generation = 0;
  for (char c : name.substr(0, kGenerationDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
  }
  if (!absl::SimpleAtoi(name.substr(0, kGenerationDigits), &generation)) return std::nullopt;
  return generation;
}

std::optional<WalGroupHeader> ParseWalGroupHeader(Slice block) {
  if (block.size() < kWalGroupHeaderBytes) return std::nullopt;
  const char* at = block.data();
  if (LoadLittle<uint32_t>(at) != kWalMagic) return std::nullopt;
  WalGroupHeader header;
  header.crc = LoadLittle<uint32_t>(at + kHeaderCrcAt);
  if (Crc32c(block.substr(0, kHeaderCrcAt)) != header.crc) return std::nullopt;
  header.version = LoadLittle<uint16_t>(at + 4);
  header.flags = LoadLittle<uint16_t>(at + 6);
  header.generation = LoadLittle<uint64_t>(at + 8);
  header.salt = LoadLittle<uint64_t>(at + 16);
  header.number = LoadLittle<uint64_t>(at + 24);
  header.durable_through = LoadLittle<uint64_t>(at + 32);
  header.body_bytes = LoadLittle<uint32_t>(at + 40);
  header.record_count = LoadLittle<uint32_t>(at + 44);
  header.previous_chain = LoadLittle<uint32_t>(at + 48);
  return header;
}

std::optional<std::vector<WalRecord>> ParseWalRecords(const WalGroupHeader& header, Slice group,
                                                      uint32_t* chain) {
  if (group.size() < kWalGroupHeaderBytes + uint64_t{header.body_bytes}) return std::nullopt;
  Slice rest = group.substr(kWalGroupHeaderBytes, header.body_bytes);
  std::vector<WalRecord> records;
  uint32_t value = header.crc;
  for (uint32_t i = 0; i < header.record_count; ++i) {
    if (rest.size() < kWalRecordHeaderBytes) return std::nullopt;
    const char* at = rest.data();
    const uint32_t length = LoadLittle<uint32_t>(at);
    if (length > rest.size() - kWalRecordHeaderBytes) return std::nullopt;
    const Slice payload = rest.substr(kWalRecordHeaderBytes, length);
    value = ChainRecord(value, at, payload);
    if (value != LoadLittle<uint32_t>(at + kRecordChainAt)) return std::nullopt;
    records.push_back(WalRecord{.type = static_cast<WalRecordType>(static_cast<uint8_t>(at[4])),
                                .entry_type = static_cast<uint8_t>(at[5]),
                                .term = Term(LoadLittle<int64_t>(at + 8)),
                                .index = LogIndex(LoadLittle<int64_t>(at + 16)),
                                .payload = payload});
    rest.remove_prefix(kWalRecordHeaderBytes + length);
  }
  if (!rest.empty()) return std::nullopt;
  *chain = value;
  return records;
}

void WalGroupBuilder::Clear() {
  buffer_.assign(kWalGroupHeaderBytes, '\0');
  record_count_ = 0;
}

void WalGroupBuilder::Add(const WalRecord& record) {
  char header[kWalRecordHeaderBytes] = {};
  StoreLittle<uint32_t>(header, static_cast<uint32_t>(record.payload.size()));
  header[4] = static_cast<char>(record.type);
  header[5] = static_cast<char>(record.entry_type);
  StoreLittle<int64_t>(header + 8, record.term.value());
  StoreLittle<int64_t>(header + 16, record.index.value());
  buffer_.append(header, sizeof(header));
  buffer_.append(record.payload.data(), record.payload.size());
  ++record_count_;
}

Slice WalGroupBuilder::Finish(WalGroupHeader* header, uint32_t* chain) {
  header->body_bytes = static_cast<uint32_t>(buffer_.size() - kWalGroupHeaderBytes);
  header->record_count = record_count_;
  StoreHeader(*header, buffer_.data());
  header->crc = Crc32c(Slice(buffer_.data(), kHeaderCrcAt));
  StoreLittle<uint32_t>(buffer_.data() + kHeaderCrcAt, header->crc);

  // The records' chain starts from the header, which is complete only now.
  uint32_t value = header->crc;
  for (size_t at = kWalGroupHeaderBytes; at < buffer_.size();) {
    const uint32_t length = LoadLittle<uint32_t>(buffer_.data() + at);
    value = ChainRecord(value, buffer_.data() + at,
                        Slice(buffer_.data() + at + kWalRecordHeaderBytes, length));
    StoreLittle<uint32_t>(buffer_.data() + at + kRecordChainAt, value);
    at += kWalRecordHeaderBytes + length;
  }
  *chain = value;
  buffer_.resize(header->TotalBytes(), '\0');
  return buffer_;
}

}  // namespace millrace::raft
