#include "client/batch_sequence.h"

#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "record/format.h"

namespace millrace::client {

bool BatchSequence::Begin(const api::ProducerIdentity& latest) {
  CHECK(!ready());
  if (latest == identity_) return false;
  identity_ = latest;
  next_ = 0;
  lost_ = false;
  return true;
}

void BatchSequence::Stamp(Bytes* batch) {
  CHECK(ready());
  CHECK_GE(batch->size(), record::kBatchHeaderSize);
  std::optional<Buffer> memory = Buffer::Reclaim(batch);
  if (!memory.has_value()) {
    memory.emplace(batch->size());
    std::memcpy(memory->data(), batch->data(), batch->size());
  }
  const int32_t records = LoadBig<int32_t>(memory->data() + record::kRecordCountAt);
  record::StampProducer(memory->data(), memory->size(), identity_.id, identity_.epoch, next_);
  next_ = record::SequenceAfter(next_, records);
  *batch = std::move(*memory).Freeze();
}

}  // namespace millrace::client
