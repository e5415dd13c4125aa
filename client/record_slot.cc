#include "client/record_slot.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace millrace::client {

RecordSlot::~RecordSlot() {
  delete state_.load();
  delete spare_.load();
}

void RecordSlot::State::CloseOpen() {
  open.bytes = builder.Build();
  records_expected = open.callbacks.size();
  full.push_back(std::exchange(open, {}));
}

RecordSlot::Added RecordSlot::Add(const Record& record, DeliveryCallback done,
                                  size_t batch_bytes_max, MonotonicTime now) {
  std::unique_ptr<State> state(state_.exchange(nullptr));
  if (state == nullptr) state.reset(spare_.exchange(nullptr));
  if (state == nullptr) {
    state = std::make_unique<State>(record::BatchBuilder::Options{.compression = compression_});
  }
  Added added;
  if (!state->builder.empty() &&
      state->builder.estimated_bytes() + record.bytes_max > batch_bytes_max) {
    state->CloseOpen();
    added.full = true;
  }
  added.began = state->builder.empty();
  if (added.began) {
    state->open.created = now;
    state->open.callbacks.reserve(state->records_expected);
  }
  state->builder.Add(record.timestamp_ms, record.key, record.value, record.headers);
  state->open.callbacks.push_back(std::move(done));
  state->open.memory += static_cast<int64_t>(record.bytes_max);
  // Of a large record the next one is no copy: it may be small.
  const size_t next_bytes = std::min(record.bytes_max, batch_bytes_max / 16);
  if (state->builder.estimated_bytes() + next_bytes > batch_bytes_max) {
    state->CloseOpen();
    added.full = added.ended = true;
  }
  added.notify = added.began || added.full;
  bool has_full = !state->full.empty();
  // Sequentially consistent, as in Take: of "stored" and "wanted" one is seen by the other side.
  State* expected = nullptr;
  while (!state_.compare_exchange_strong(expected, state.get())) {
    expected = nullptr;
    // The strand had an older state in hand when this one was begun, and has put it back.
    std::unique_ptr<State> older(state_.exchange(nullptr));
    if (older == nullptr) continue;
    if (!older->builder.empty()) older->CloseOpen();
    state->full.insert(state->full.begin(), std::make_move_iterator(older->full.begin()),
                       std::make_move_iterator(older->full.end()));
    added.full = added.notify = has_full = true;
  }
  state.release();
  if (wanted_.load() && wanted_.exchange(false)) {
    // What the strand looked for it was told of before, and takes for gone by now.
    added.notify = true;
    added.full = has_full;
  }
  return added;
}

bool RecordSlot::Take(bool open_too, std::vector<SlotBatch>* batches) {
  std::unique_ptr<State> state(state_.exchange(nullptr));
  if (state == nullptr) {
    wanted_.store(true);
    state.reset(state_.exchange(nullptr));
    if (state == nullptr) return false;
  }
  if (open_too && !state->builder.empty()) state->CloseOpen();
  const auto hand_over = [&] {
    batches->insert(batches->end(), std::make_move_iterator(state->full.begin()),
                    std::make_move_iterator(state->full.end()));
    state->full.clear();
  };
  hand_over();
  if (!state->builder.empty()) {
    // The open batch goes on filling, unless the caller has begun another one meanwhile: then this
    // one is older, and leaves first.
    State* expected = nullptr;
    if (state_.compare_exchange_strong(expected, state.get())) {
      state.release();
      return true;
    }
    state->CloseOpen();
    hand_over();
    delete spare_.exchange(state.release());
    return true;
  }
  delete spare_.exchange(state.release());
  return false;
}

}  // namespace millrace::client
