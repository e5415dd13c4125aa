#include "record/control_record.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"
#include "record/batch_builder.h"

namespace millrace::record {
namespace {

// Layouts. Versions only ever add fields at the end, so that a newer one is read by its first.
constexpr size_t kKeyVersionAt = 0;  // int16
constexpr size_t kKeyTypeAt = 2;     // int16
constexpr size_t kKeySize = 4;
constexpr size_t kMarkerVersionAt = 0;           // int16
constexpr size_t kMarkerCoordinatorEpochAt = 2;  // int32
constexpr size_t kMarkerSize = 6;
constexpr int16_t kVersion = 0;

absl::Status Corrupt(absl::string_view what, const RecordView& record) {
  return MakeError(
      ErrorCode::kCorruptMessage,
      absl::StrCat("the control record at offset ", record.offset.value(), " is malformed: ", what),
      {.name = "control_record", .value = absl::StrCat(record.offset.value())});
}

}  // namespace

absl::StatusOr<ControlType> ControlTypeOf(const RecordView& record) {
  if (!record.key.has_value() || record.key->size() < kKeySize) {
    return Corrupt("its key is missing or shorter than 4 bytes", record);
  }
  const int16_t version = LoadBig<int16_t>(record.key->data() + kKeyVersionAt);
  if (version < 0) return Corrupt(absl::StrCat("its key's version is ", version), record);
  return static_cast<ControlType>(LoadBig<int16_t>(record.key->data() + kKeyTypeAt));
}

absl::StatusOr<EndTransactionMarker> ParseEndTransactionMarker(const RecordView& record) {
  ASSIGN_OR_RETURN(const ControlType type, ControlTypeOf(record));
  if (type != ControlType::kAbort && type != ControlType::kCommit) {
    return Corrupt(absl::StrCat("type ", static_cast<int>(type), " ends no transaction"), record);
  }
  if (!record.value.has_value() || record.value->size() < kMarkerSize) {
    return Corrupt("its value is missing or shorter than 6 bytes", record);
  }
  const int16_t version = LoadBig<int16_t>(record.value->data() + kMarkerVersionAt);
  if (version < 0) return Corrupt(absl::StrCat("its value's version is ", version), record);
  return EndTransactionMarker{
      .committed = type == ControlType::kCommit,
      .coordinator_epoch = LoadBig<int32_t>(record.value->data() + kMarkerCoordinatorEpochAt)};
}

Bytes BuildEndTransactionBatch(const EndTransactionMarker& marker, ProducerId producer_id,
                               ProducerEpoch producer_epoch, int64_t timestamp_ms) {
  const ControlType type = marker.committed ? ControlType::kCommit : ControlType::kAbort;
  char key[kKeySize];
  StoreBig<int16_t>(key + kKeyVersionAt, kVersion);
  StoreBig<int16_t>(key + kKeyTypeAt, static_cast<int16_t>(type));
  char value[kMarkerSize];
  StoreBig<int16_t>(value + kMarkerVersionAt, kVersion);
  StoreBig<int32_t>(value + kMarkerCoordinatorEpochAt, marker.coordinator_epoch);
  // Markers have no sequence: they are idempotent by their coordinator's epoch.
  BatchBuilder builder({.producer_id = producer_id,
                        .producer_epoch = producer_epoch,
                        .is_transactional = true,
                        .is_control = true});
  builder.Add(timestamp_ms, Slice(key, sizeof(key)), Slice(value, sizeof(value)));
  return builder.Build();
}

}  // namespace millrace::record
