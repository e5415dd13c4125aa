#include "api/codec/produce_intake.h"

#include <utility>

#include "absl/container/inlined_vector.h"
#include "api/codec/partition_fields.h"
#include "api/codec/plain_records.h"
#include "api/codec/produce_fields.h"
#include "api/codec/scattered_reader.h"

namespace millrace::api {
namespace {

// Bytes of the message that go into memory of their own: one field, or runs of several.
class Located {
 public:
  void Add(ScatteredReader::Place place, size_t bytes) {
    places_.push_back({place, bytes});
    bytes_ += bytes;
  }
  // Bytes from the beginning of the reader's field to where it is now.
  void AddField(const ScatteredReader& reader) {
    const size_t bytes = reader.left_at_field() - reader.left();
    // Fields that follow each other are one run, as every common encoder writes them.
    if (!places_.empty() && left_behind_ == reader.left_at_field()) {
      places_.back().second += bytes;
      bytes_ += bytes;
    } else {
      Add(reader.field_begin(), bytes);
    }
    left_behind_ = reader.left();
  }
  void Clear() { *this = Located(); }

  Bytes Copy(Reservation* reservation) const {
    if (bytes_ == 0) return {};
    Buffer memory(bytes_, reservation->Split(static_cast<int64_t>(bytes_)));
    char* to = memory.data();
    for (const auto& [place, bytes] : places_) {
      CopyOut(place, bytes, to);
      to += bytes;
    }
    return std::move(memory).Freeze();
  }

 private:
  absl::InlinedVector<std::pair<ScatteredReader::Place, size_t>, 1> places_;
  size_t bytes_ = 0;
  // What was left of the message behind the last field added.
  size_t left_behind_ = 0;
};

bool TakeIn(ScatteredReader reader, Reservation* reservation, ProducePartition* out) {
  Located batches;
  Located records;
  while (reader.Next()) {
    if (ReadNameField(reader, &out->name)) continue;
    if (reader.Is(kBatchesField, WireType::kLength)) {
      ScatteredReader::Place place;
      const size_t bytes = reader.Locate(&place);
      // The last one wins.
      batches.Clear();
      batches.Add(place, bytes);
    } else if (reader.Is(kProduceRecordsField, WireType::kLength)) {
      ScatteredReader::Place place;
      reader.Locate(&place);
      if (reader.ok()) records.AddField(reader);
    } else if (reader.Is(kLeaderEpochField, WireType::kVarint)) {
      out->leader_epoch = LeaderEpoch(reader.Int32());
    } else if (reader.Is(kTopicChecksumField, WireType::kFixed32)) {
      out->topic_checksum = reader.Fixed32();
    } else if (reader.Is(kRestartField, WireType::kVarint)) {
      out->restart = reader.Uint32();
    } else {
      reader.Skip();
    }
  }
  if (!reader.ok()) return false;
  out->batches = batches.Copy(reservation);
  out->plain_records = records.Copy(reservation);
  return true;
}

bool TakeIn(ScatteredReader reader, Reservation* reservation, ProduceRequest* out) {
  while (reader.Next()) {
    if (reader.Is(kRequestPartitionsField, WireType::kLength)) {
      ScatteredReader part = reader.Message();
      if (!reader.ok()) break;
      const bool read = TakeIn(std::move(part), reservation, &out->partitions.emplace_back());
      if (!read || out->partitions.size() > kMessagePartitionsMax) reader.Fail();
    } else if (reader.Is(kAcksField, WireType::kVarint)) {
      out->acks = static_cast<Acks>(reader.Int32());
    } else if (reader.Is(kTimeoutField, WireType::kVarint)) {
      out->timeout = FromMs(reader.Int32());
    } else if (reader.Is(kClientIdField, WireType::kLength)) {
      out->client_id = ToStdString(reader.Text());
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

bool TakeIn(ScatteredReader reader, Reservation* reservation, ProduceStreamRequest* out) {
  while (reader.Next()) {
    if (reader.Is(kRequestNumberField, WireType::kVarint)) {
      out->request_number = reader.Varint();
    } else if (reader.Is(kStreamBodyField, WireType::kLength)) {
      ScatteredReader part = reader.Message();
      if (reader.ok() && !TakeIn(std::move(part), reservation, &out->request)) reader.Fail();
    } else if (reader.Is(kForwardField, WireType::kVarint)) {
      out->forward = reader.Varint() != 0;
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

}  // namespace

absl::StatusOr<ProduceRequest> TakeInProduceRequest(absl::Span<const Slice> message,
                                                    Reservation* reservation) {
  ProduceRequest request;
  if (!TakeIn(ScatteredReader(message), reservation, &request)) {
    return MalformedMessage("millrace.v1.ProduceRequest", request.partitions.size());
  }
  return request;
}

absl::StatusOr<ProduceStreamRequest> TakeInProduceStreamRequest(absl::Span<const Slice> message,
                                                                Reservation* reservation) {
  ProduceStreamRequest request;
  if (!TakeIn(ScatteredReader(message), reservation, &request)) {
    return MalformedMessage("millrace.v1.ProduceStreamRequest", request.request.partitions.size());
  }
  return request;
}

}  // namespace millrace::api
