// ForwardLane: the batches of one partition on one client's produce stream, passed on to the broker
// that leads it, over one ordered stream (S-23). Pure but for the stream it sends on.
//
// What was sent and is not answered when the stream ends is told as ForwardSink::OnClosed says;
// when this gives up by itself, as unknown. Nothing is sent again: whoever sent it decides that. A
// lane that is closed stays closed: another one goes on, and begins where nothing is unanswered any
// more.
//
// This gives up when the first unanswered batch has passed its deadline, and when the partition has
// been led by somebody else for a while: a leader that still runs will have said so itself by then.
//
// Not here: who leads, and which batches may be sent after a failure (produce_stream.h).
//
// Thread: its owner's.
#ifndef BROKER_FORWARD_LANE_H_
#define BROKER_FORWARD_LANE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "api/produce.h"
#include "base/memory_budget.h"
#include "base/monotonic_time.h"
#include "broker/forward_channel.h"

namespace millrace::broker {

class ForwardLane final : public ForwardSink {
 public:
  // How long who led until now may take to answer what it has.
  static constexpr absl::Duration kFormerLeaderPatience = absl::Seconds(2);

  struct Batch {
    api::ProducePartition partition;
    api::Acks acks = api::Acks::kUnspecified;
    absl::Duration timeout;
    std::string client_id;
    // Without an answer by then its outcome is unknown.
    MonotonicTime deadline;
    // Of the bytes that may be under way; given back with the answer.
    Reservation share;
  };
  // The result names the partition as the batch did, with its topic id.
  using Done = absl::AnyInvocable<void(api::ProducePartitionResult) &&>;

  ForwardLane() = default;
  ForwardLane(const ForwardLane&) = delete;
  ForwardLane& operator=(const ForwardLane&) = delete;

  // The stream that has this as its sink. REQUIRES: called once, before all else.
  void Begin(std::unique_ptr<ForwardStream> stream) { stream_ = std::move(stream); }
  bool is_open() const { return stream_ != nullptr; }

  // `done` is called once, in the order of the calls and never inside one of them. REQUIRES:
  // is_open().
  void Send(Batch batch, Done done);
  // Whether the other broker leads the partition, as the metadata has it now.
  void NoteLeader(bool leads, MonotonicTime now);
  void OnTime(MonotonicTime now);
  MonotonicTime next_deadline() const;

  void OnAnswered(api::ProduceStreamResponse response) override;
  void OnClosed(const absl::Status& why) override;

 private:
  struct Unanswered {
    uint64_t number = 0;
    // With the memory of its batches, which counts in the process's budget as long.
    api::ProducePartition partition;
    MonotonicTime deadline;
    Reservation share;
    Done done;
  };

  void GiveUp(absl::string_view why);
  static void Answer(Unanswered unanswered, api::ProducePartitionResult result);

  std::unique_ptr<ForwardStream> stream_;
  std::deque<Unanswered> unanswered_;
  uint64_t next_number_ = 1;
  // Until when the former leader is waited for.
  MonotonicTime former_until_ = MonotonicTime::Never();
};

}  // namespace millrace::broker

#endif  // BROKER_FORWARD_LANE_H_
