#include "client/offset_lookup.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::client {
namespace {

// For a strand that does not answer at all: calls have their own deadlines.
constexpr absl::Duration kStrandGrace = absl::Seconds(5);

// Answers of one broker to one lookup, handed from the strand to the caller who waits. Shared,
// since a caller who has waited long enough goes away before the strand does.
struct OffsetsAnswer {
  rpc::Wakeup arrived;
  std::optional<absl::StatusOr<api::ListOffsetsResponse>> response;
};

api::OffsetPosition WirePosition(Position::Kind kind) {
  CHECK(kind != Position::Kind::kOffset) << "an offset needs no lookup";
  if (kind == Position::Kind::kEarliest) return api::OffsetPosition::kEarliest;
  if (kind == Position::Kind::kLatest) return api::OffsetPosition::kLatest;
  return api::OffsetPosition::kTimestamp;
}

}  // namespace

absl::Status OffsetLookup::AwaitTopics(const std::set<std::string>& topics,
                                       MonotonicTime deadline) {
  executor_->Post([strand = strand_, topics] { strand->WatchTopics(topics); });
  for (const std::string& topic : topics) {
    RETURN_IF_ERROR(AwaitTopic(news_, *clock_, topic, deadline));
  }
  return absl::OkStatus();
}

absl::StatusOr<OffsetLookup::Found> OffsetLookup::Ask(Wanted wanted, MonotonicTime deadline) {
  std::set<std::string> topics;
  for (const auto& [name, position] : wanted) topics.insert(name.topic);
  RETURN_IF_ERROR(AwaitTopics(topics, deadline));
  const std::shared_ptr<const TopicTable> table = news_->board.Read();
  for (const auto& [name, position] : wanted) {
    if (table->Find(name.topic, name.partition) != nullptr) continue;
    return MakeError(
        ErrorCode::kUnknownTopicOrPartition,
        absl::StrCat("topic '", name.topic, "' has no partition ", name.partition.value()),
        {.name = "partition", .value = TextOf(name)});
  }
  Found found;
  absl::Status latest_failure;
  while (!wanted.empty()) {
    const MonotonicTime now = clock_->Now();
    if (now >= deadline) {
      if (!latest_failure.ok()) return latest_failure;
      return MakeError(ErrorCode::kRequestTimedOut,
                       absl::StrCat("the leader of ", TextOf(wanted.begin()->first),
                                    " did not tell its offsets in time"));
    }
    const absl::Duration timeout = std::min(deadline - now, options_.request_timeout);
    const absl::Status status = Try(timeout, &wanted, &found);
    if (!status.ok() && !IsRetriable(CodeOf(status))) return status;
    latest_failure = status;
    // A leader that has just changed is told of by a push; one that is gone may come back.
    if (!wanted.empty()) {
      news_->changed.WaitFor(std::min(deadline - clock_->Now(), options_.retry_backoff));
    }
  }
  return found;
}

absl::Status OffsetLookup::Try(absl::Duration timeout, Wanted* wanted, Found* found) {
  const std::shared_ptr<const TopicTable> table = news_->board.Read();
  std::map<NodeId, api::ListOffsetsRequest> requests;
  absl::Status failure;
  for (const auto& [name, position] : *wanted) {
    const api::PartitionLeader* leader = table->Find(name.topic, name.partition);
    if (leader == nullptr || leader->leader_id == kNoNode) {
      failure = MakeError(ErrorCode::kBrokerNotAvailable,
                          absl::StrCat(TextOf(name), " has no leader now"));
      continue;
    }
    api::ListOffsetsRequest& request = requests[leader->leader_id];
    request.isolation_level = options_.isolation_level;
    request.partitions.push_back({.name = {.topic = name.topic, .partition = name.partition},
                                  .position = WirePosition(position.kind),
                                  .timestamp_ms = position.timestamp_ms});
  }
  std::vector<std::shared_ptr<OffsetsAnswer>> answers;
  for (auto& [broker, request] : requests) {
    answers.push_back(std::make_shared<OffsetsAnswer>());
    executor_->Post(
        [strand = strand_, broker = broker, request = request, timeout, answer = answers.back()] {
          strand->ListOffsets(broker, request, timeout,
                              [answer](absl::StatusOr<api::ListOffsetsResponse> response) {
                                answer->response = std::move(response);
                                answer->arrived.Signal();
                              });
        });
  }
  for (const std::shared_ptr<OffsetsAnswer>& answer : answers) {
    if (!answer->arrived.WaitFor(timeout + kStrandGrace)) continue;
    if (!answer->response->ok()) {
      failure = answer->response->status();
      continue;
    }
    for (const api::ListOffsetsPartitionResult& result : (*answer->response)->partitions) {
      const NamedPartition name{result.name.topic, result.name.partition};
      if (result.outcome.ok()) {
        (*found)[name] = {.offset = result.offset, .timestamp_ms = result.timestamp_ms};
        wanted->erase(name);
      } else {
        failure = Annotate(MakeError(result.outcome.code, result.outcome.message), TextOf(name));
      }
    }
  }
  return failure;
}

}  // namespace millrace::client
