#include "broker/forward_lane.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::broker {

void ForwardLane::Send(Batch batch, Done done) {
  CHECK(is_open()) << "a closed lane stays closed";
  api::ProduceStreamRequest request;
  request.request_number = next_number_++;
  request.request.partitions.push_back(batch.partition);
  request.request.acks = batch.acks;
  request.request.timeout = batch.timeout;
  request.request.client_id = std::move(batch.client_id);
  unanswered_.push_back({request.request_number, std::move(batch.partition), batch.deadline,
                         std::move(batch.share), std::move(done)});
  stream_->Send(request);
}

void ForwardLane::NoteLeader(bool leads, MonotonicTime now) {
  former_until_ =
      leads ? MonotonicTime::Never() : std::min(former_until_, now + kFormerLeaderPatience);
}

MonotonicTime ForwardLane::next_deadline() const {
  // Answers come in order: nothing that is due later could be told before the first.
  return unanswered_.empty() ? MonotonicTime::Never()
                             : std::min(unanswered_.front().deadline, former_until_);
}

void ForwardLane::OnTime(MonotonicTime now) {
  if (now < next_deadline()) return;
  GiveUp(now >= former_until_ ? "does not lead it any more, and has not answered"
                              : "has not answered in time");
}

void ForwardLane::OnAnswered(api::ProduceStreamResponse response) {
  if (!is_open()) return;
  for (api::ProducePartitionResult& result : response.partitions) {
    if (unanswered_.empty() || unanswered_.front().number != response.request_number) {
      return GiveUp("has answered what it was not asked");
    }
    Unanswered first = std::move(unanswered_.front());
    unanswered_.pop_front();
    Answer(std::move(first), std::move(result));
  }
}

void ForwardLane::GiveUp(absl::string_view why) {
  OnClosed(MakeError(MUTANT("broker.unknown-told-as-refused") ? ErrorCode::kNotLeaderOrFollower
                                                              : ErrorCode::kOutcomeUnknown,
                     absl::StrCat("passed on to the broker that led the partition, which ", why,
                                  "; it may or may not have been appended")));
}

void ForwardLane::OnClosed(const absl::Status& why) {
  // What is told may lead to the next lane, or to the end of this one.
  const std::unique_ptr<ForwardStream> stream = std::move(stream_);
  std::deque<Unanswered> left = std::exchange(unanswered_, {});
  for (Unanswered& unanswered : left) {
    api::ProducePartitionResult result;
    result.outcome = api::PartitionOutcome::Of(why);
    Answer(std::move(unanswered), std::move(result));
  }
}

void ForwardLane::Answer(Unanswered unanswered, api::ProducePartitionResult result) {
  result.name = std::move(unanswered.partition.name);
  unanswered.share.Release();
  unanswered.partition.batches = {};
  std::move(unanswered.done)(std::move(result));
}

}  // namespace millrace::broker
