// Feeds bytes to what reads the metadata log: a segment's scan, a whole recovery, and the payloads
// inside. Whatever they hold, the answer is a status or a log that obeys its own rules.
//
// Thread: the fuzzer's one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/sim/sim_file_system.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_recovery.h"
#include "raft/host/wal_scan.h"
#include "raft/types.h"
#include "rsm/entry_codec.h"

namespace millrace::raft {
namespace {

constexpr char kDirectory[] = "/wal";
constexpr uint64_t kGeneration = 1;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Makes the CRCs of a group's header and records right, so that the fuzzer gets behind them.
void RepairGroup(std::string* bytes, size_t at) {
  if (bytes->size() < at + kWalGroupHeaderBytes) return;
  char* const header = bytes->data() + at;
  StoreLittle<uint32_t>(header, kWalMagic);
  StoreLittle<uint64_t>(header + 8, kGeneration);
  uint32_t chain = Crc32c(Slice(header, kWalGroupHeaderBytes - 4));
  StoreLittle<uint32_t>(header + kWalGroupHeaderBytes - 4, chain);
  const uint32_t body = LoadLittle<uint32_t>(header + 40);
  size_t record = at + kWalGroupHeaderBytes;
  const size_t end = std::min<size_t>(bytes->size(), record + body);
  while (record + kWalRecordHeaderBytes <= end) {
    char* const place = bytes->data() + record;
    const size_t payload = LoadLittle<uint32_t>(place);
    if (payload > end - record - kWalRecordHeaderBytes) return;
    chain = Crc32cExtend(chain, Slice(place, kWalRecordHeaderBytes - 4));
    chain = Crc32cExtend(chain, Slice(place + kWalRecordHeaderBytes, payload));
    StoreLittle<uint32_t>(place + kWalRecordHeaderBytes - 4, chain);
    record += kWalRecordHeaderBytes + payload;
  }
}

void CheckScan(const std::string& bytes) {
  const WalScan scan = ScanWalSegment(bytes, kGeneration);
  uint64_t expected = 0;
  for (const WalGroup& group : scan.groups) {
    Require(group.offset == expected);
    expected += group.header.TotalBytes();
  }
  Require(scan.tail_offset == expected);
}

void CheckRecovery(const std::string& bytes) {
  sim::SimFileSystem files;
  Require(files.CreateDirectory(kDirectory).ok());
  auto file = files.Open(JoinPath(kDirectory, WalSegmentName(kGeneration)), OpenMode::kCreate);
  Require(file.ok() && (*file)->WriteAt(0, bytes).ok());
  WalOptions options;
  options.directory = kDirectory;
  const auto recovered = RecoverWal(options, files, EntryId{});
  if (!recovered.ok() || recovered->position.restart_after.has_value()) return;
  LogIndex next{1};
  Term term;
  for (const Entry& entry : recovered->recovery.entries) {
    Require(entry.index == next && entry.term >= term);
    ++next;
    term = entry.term;
  }
}

}  // namespace
}  // namespace millrace::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  raft::CheckScan(bytes);
  raft::CheckRecovery(bytes);
  for (size_t at = 0; at < bytes.size(); at += raft::kWalBlockBytes) raft::RepairGroup(&bytes, at);
  raft::CheckScan(bytes);
  raft::CheckRecovery(bytes);

  if (const auto voters = raft::DecodeVoters(bytes); voters.ok()) {
    const auto again = raft::EncodeVoters(*voters);
    raft::Require(again.ok() && *again == bytes);
  }
  if (const auto records = rsm::DecodeEntry(Bytes::Copy(bytes)); records.ok()) {
    const auto again = rsm::EncodeEntry(*records);
    raft::Require(again.ok() && *rsm::DecodeEntry(*again) == *records);
  }
  return 0;
}
