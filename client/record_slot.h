// RecordSlot: where the producer's caller and its I/O strand meet: the batches of one partition
// that have not left yet, full ones and the one that is filling.
//
// Records are encoded by the caller as they come. What the two share is one pointer, exchanged as a
// whole: the caller takes the state out, adds a record and puts it back; the strand takes it out
// and keeps what it wants. So neither waits for the other. If the strand finds nothing because the
// caller has it in hand, it leaves a note, and the caller tells the strand afterwards.
//
// Thread: Add: the caller's. Take: the strand's.
#ifndef CLIENT_RECORD_SLOT_H_
#define CLIENT_RECORD_SLOT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "client/record.h"
#include "record/batch_builder.h"

namespace millrace::client {

using DeliveryCallback = absl::AnyInvocable<void(const DeliveryReport&) &&>;

// A batch that has left its slot.
struct SlotBatch {
  Bytes bytes;
  MonotonicTime created;
  // One per record, in their order; may be empty functions.
  std::vector<DeliveryCallback> callbacks;
  // What its records were counted as against buffer.memory.
  int64_t memory = 0;
};

class RecordSlot {
 public:
  struct Record {
    int64_t timestamp_ms = 0;
    absl::optional<Slice> key;
    absl::optional<Slice> value;
    absl::Span<const record::Header> headers;
    // RecordBytesMax of it.
    size_t bytes_max = 0;
  };
  // What the strand is to be told after an Add.
  struct Added {
    bool notify = false;
    // There is a full batch that the strand does not know of.
    bool full = false;
    // The record was the first of its batch.
    bool began = false;
    // The record was the last of its batch, as far as is known: none is filling now.
    bool ended = false;
  };

  explicit RecordSlot(record::Compression compression) : compression_(compression) {}
  ~RecordSlot();
  RecordSlot(const RecordSlot&) = delete;
  RecordSlot& operator=(const RecordSlot&) = delete;

  // A batch is closed before it grows beyond `batch_bytes_max`, and takes one record at least. It
  // is closed at once when another record like this one would not fit: so it may leave at once, and
  // a sticky partition's turn ends with a full batch, not with one that has a single record.
  Added Add(const Record& record, DeliveryCallback done, size_t batch_bytes_max, MonotonicTime now);

  // Appends the full batches, oldest first, and then, if `open_too`, the one that is filling. True
  // if records remain; false also if they are in the caller's hand, who then notifies.
  bool Take(bool open_too, std::vector<SlotBatch>* batches);

 private:
  struct State {
    explicit State(const record::BatchBuilder::Options& options) : builder(options) {}
    // Moves the open batch to the full ones. REQUIRES: it has records.
    void CloseOpen();

    record::BatchBuilder builder;
    SlotBatch open;
    // How many records the latest batch had: room for as many is made at once.
    size_t records_expected = 0;
    std::vector<SlotBatch> full;
  };

  const record::Compression compression_;
  // Null while one of the two has it in hand.
  std::atomic<State*> state_{nullptr};
  // An emptied state, kept for its memory.
  std::atomic<State*> spare_{nullptr};
  // The strand looked while the caller had the state.
  std::atomic<bool> wanted_{false};
};

}  // namespace millrace::client

#endif  // CLIENT_RECORD_SLOT_H_
