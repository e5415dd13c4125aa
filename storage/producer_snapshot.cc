#include "storage/producer_snapshot.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

absl::Status Damaged(Offset offset, absl::string_view what) {
  return MakeError(
      ErrorCode::kCorruptLog,
      absl::StrCat("producer snapshot of offset ", offset.value(), " is damaged: ", what),
      {.name = "snapshot", .value = absl::StrCat(offset.value())});
}

bool ReadBatch(Reader* reader, ProducerBatch* batch) {
  int64_t base = 0;
  int64_t last = 0;
  if (!reader->ReadLittle(&batch->first_sequence) || !reader->ReadLittle(&batch->last_sequence) ||
      !reader->ReadLittle(&base) || !reader->ReadLittle(&last) ||
      !reader->ReadLittle(&batch->max_timestamp_ms)) {
    return false;
  }
  batch->base_offset = Offset(base);
  batch->last_offset = Offset(last);
  return true;
}

}  // namespace

std::string EncodeProducerSnapshot(const ProducerState& state, Offset offset) {
  std::string out;
  AppendLittle<uint32_t>(kProducerSnapshotMagic, &out);
  AppendLittle<uint16_t>(kProducerSnapshotVersion, &out);
  AppendLittle<uint16_t>(0, &out);
  AppendLittle<int64_t>(offset.value(), &out);
  AppendLittle<uint32_t>(static_cast<uint32_t>(state.producers().size()), &out);
  for (const auto& [id, entry] : state.producers()) {
    AppendLittle<int64_t>(id.value(), &out);
    AppendLittle<int16_t>(entry.epoch.value(), &out);
    // What is remembered beyond the last five serves truncation only, which reads the log instead.
    const size_t kept = std::min(entry.batches.size(), ProducerState::kBatchesRemembered);
    AppendLittle<uint16_t>(static_cast<uint16_t>(kept), &out);
    AppendLittle<int64_t>(entry.last_append.ms, &out);
    for (size_t i = entry.batches.size() - kept; i < entry.batches.size(); ++i) {
      const ProducerBatch& batch = entry.batches[i];
      AppendLittle<int32_t>(batch.first_sequence, &out);
      AppendLittle<int32_t>(batch.last_sequence, &out);
      AppendLittle<int64_t>(batch.base_offset.value(), &out);
      AppendLittle<int64_t>(batch.last_offset.value(), &out);
      AppendLittle<int64_t>(batch.max_timestamp_ms, &out);
    }
  }
  AppendLittle<uint32_t>(Crc32c(out), &out);
  return out;
}

absl::StatusOr<ProducerState> DecodeProducerSnapshot(Slice contents, Offset offset) {
  if (contents.size() < 24) return Damaged(offset, "too short");
  const Slice body = contents.substr(0, contents.size() - 4);
  if (LoadLittle<uint32_t>(contents.data() + body.size()) != Crc32c(body)) {
    return Damaged(offset, "wrong checksum");
  }
  Reader reader(body);
  uint32_t magic = 0;
  uint16_t version = 0;
  uint16_t reserved = 0;
  int64_t of = 0;
  uint32_t count = 0;
  // The size was checked above.
  if (!reader.ReadLittle(&magic) || !reader.ReadLittle(&version) || !reader.ReadLittle(&reserved) ||
      !reader.ReadLittle(&of) || !reader.ReadLittle(&count) || magic != kProducerSnapshotMagic) {
    return Damaged(offset, "not a producer snapshot");
  }
  if (version != kProducerSnapshotVersion) {
    return MakeError(ErrorCode::kUnsupportedFormatVersion,
                     absl::StrCat("producer snapshot has format version ", version,
                                  ", but this program knows ", kProducerSnapshotVersion),
                     {.name = "snapshot", .value = absl::StrCat(version)});
  }
  if (of != offset.value()) return Damaged(offset, absl::StrCat("it is of offset ", of));
  ProducerState state;
  for (uint32_t i = 0; i < count; ++i) {
    int64_t id = 0;
    int16_t epoch = 0;
    uint16_t batches = 0;
    ProducerEntry entry;
    if (!reader.ReadLittle(&id) || !reader.ReadLittle(&epoch) || !reader.ReadLittle(&batches) ||
        !reader.ReadLittle(&entry.last_append.ms)) {
      return Damaged(offset, "cut off");
    }
    entry.epoch = ProducerEpoch(epoch);
    for (uint16_t b = 0; b < batches; ++b) {
      ProducerBatch batch;
      if (!ReadBatch(&reader, &batch)) return Damaged(offset, "cut off");
      entry.batches.push_back(batch);
    }
    state.mutable_producers()[ProducerId(id)] = std::move(entry);
  }
  if (!reader.empty()) return Damaged(offset, "something follows");
  return state;
}

}  // namespace millrace::storage
