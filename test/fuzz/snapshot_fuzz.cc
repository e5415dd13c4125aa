// Feeds bytes to what reads snapshots: a file that a leader sends or a disk has, a store opened on
// it, and the image inside. Whatever they hold, the answer is a status or a value that is encoded
// to the same again.
//
// Thread: the fuzzer's one.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/sim/sim_file_system.h"
#include "metadata/image_snapshot.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/snapshot_store.h"

namespace millrace::raft {
namespace {

constexpr char kDirectory[] = "/snapshots";

void Require(bool condition) {
  if (!condition) std::abort();
}

// Makes the checksums of header and sections right, so that the fuzzer gets behind them.
void Repair(std::string* bytes) {
  if (bytes->size() < kSnapshotHeaderBytes) return;
  StoreLittle<uint32_t>(bytes->data(), kSnapshotMagic);
  size_t section = kSnapshotHeaderBytes - kSnapshotCrcBytes;
  uint32_t chain = 0;
  for (size_t at = 0; at + section + kSnapshotCrcBytes <= bytes->size();) {
    chain = Crc32cExtend(chain, Slice(bytes->data() + at, section));
    StoreLittle<uint32_t>(bytes->data() + at + section, MaskSnapshotCrc(chain));
    const bool is_header = at == 0;
    at += section + kSnapshotCrcBytes;
    const size_t left = bytes->size() - at;
    if (left <= kSnapshotCrcBytes) return;
    section = is_header ? LoadLittle<uint32_t>(bytes->data() + 48) : kSnapshotBlockBytes;
    section = std::min(section, left - kSnapshotCrcBytes);
  }
}

void CheckParse(const std::string& bytes) {
  std::string body;
  SnapshotParser whole(&body);
  const bool is_good = whole.Add(bytes).ok() && whole.complete();
  Require(whole.verified_bytes() <= bytes.size());
  // In pieces it is the same.
  SnapshotParser pieces;
  bool pieces_ok = true;
  for (size_t at = 0; at < bytes.size() && pieces_ok; at += 7) {
    pieces_ok = pieces.Add(Slice(bytes).substr(at, 7)).ok();
  }
  Require((pieces_ok && pieces.complete()) == is_good);
  if (!is_good) return;
  const auto again = EncodeSnapshotFile(whole.head().last, whole.head().voters, body);
  Require(again.ok() && *again == bytes);
}

void CheckStore(const std::string& name, const std::string& bytes) {
  sim::SimFileSystem files;
  Require(files.CreateDirectory(kDirectory).ok());
  auto file = files.Open(JoinPath(kDirectory, name), OpenMode::kCreate);
  Require(file.ok() && (*file)->WriteAt(0, bytes).ok());
  file->reset();
  const auto store = SnapshotStore::Open(&files, kDirectory);
  if (!store.ok()) return;
  if ((*store)->newest().has_value()) {
    const SnapshotId id = (*store)->newest()->id;
    Require((*store)->ReadBody(id).ok());
    const auto chunk = (*store)->ReadChunk(id, bytes.size() / 2, 100);
    Require(chunk.ok() && chunk->slice() == Slice(bytes).substr(bytes.size() / 2, 100));
  }
  if (const auto receiving = (*store)->receiving(); receiving.has_value()) {
    const auto valid = (*store)->VerifyReceived(receiving->id);
    if (valid.ok() && *valid) Require((*store)->InstallReceived(receiving->id).ok());
  }
}

void CheckImage(Slice body) {
  const auto image = metadata::DecodeImageSnapshot(body);
  if (!image.ok()) return;
  const std::string again = metadata::EncodeImageSnapshot(*image);
  const auto second = metadata::DecodeImageSnapshot(again);
  Require(second.ok() && *second == *image);
}

}  // namespace
}  // namespace millrace::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;        // NOLINT: a fuzz target is one function.
  using namespace millrace::raft;  // NOLINT
  std::string bytes(reinterpret_cast<const char*>(data), size);
  CheckParse(bytes);
  CheckImage(bytes);
  Repair(&bytes);
  CheckParse(bytes);
  SnapshotId id{EntryId{Term(1), LogIndex(1)}, bytes.size(), Crc32c(bytes)};
  if (bytes.size() >= kSnapshotHeaderBytes) {
    id.last = EntryId{Term(LoadLittle<int64_t>(bytes.data() + 8)),
                      LogIndex(LoadLittle<int64_t>(bytes.data() + 16))};
  }
  if (id.last.index < LogIndex(0) || id.last.term < Term(0)) return 0;
  CheckStore(SnapshotFileName(id.last), bytes);
  CheckStore(ReceivedFileName(id), bytes);
  return 0;
}
