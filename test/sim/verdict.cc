#include "test/sim/verdict.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_code.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kStartBound = absl::Seconds(60);
constexpr absl::Duration kAnswerBound = absl::Seconds(40);
constexpr absl::Duration kRetryPause = absl::Milliseconds(50);
constexpr int kTries = 100;

absl::Status Liveness(const SimTopic& topic, const TopicPartition& partition,
                      const std::string& what) {
  return absl::InternalError(
      absl::StrCat("LIVENESS: ", topic.name, "-", partition.partition.value(), ": ", what));
}

}  // namespace

absl::Status Verdict::ComeBack() {
  world_.server.Start();
  const bool back = world_.loop.RunUntil(
      [this] {
        const bool refused = world_.server.started().has_value() && !world_.server.started()->ok();
        return refused || (world_.server.serving() && world_.server.node().Ready().ok());
      },
      kStartBound);
  if (back && world_.server.serving()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("LIVENESS: the server did not come back: ",
                                          !world_.server.started().has_value() ? "still starting"
                                          : world_.server.started()->ok()
                                              ? world_.server.node().Ready().ToString()
                                              : world_.server.started()->ToString()));
}

absl::Status Verdict::CheckTopics() {
  for (const auto& topic : world_.topics) {
    std::optional<bool> answered;
    admin_.CheckTopic(topic, [&answered](bool ok) { answered = ok; });
    if (!world_.loop.RunUntil([&] { return answered.has_value(); }, kAnswerBound) || !*answered) {
      return absl::InternalError(absl::StrCat("LIVENESS: no description of ", topic->name));
    }
  }
  return world_.violation;
}

absl::Status Verdict::ReadEverything() {
  RETURN_IF_ERROR(CheckTopics());
  for (const auto& topic : world_.topics) {
    if (!topic->live()) continue;
    for (int i = 0; i < topic->partitions; ++i) {
      RETURN_IF_ERROR(ReadPartition(*topic, topic->Partition(i)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<api::FetchPartitionResult> Verdict::FetchAt(const TopicPartition& partition,
                                                           Offset offset) {
  api::FetchRequest request;
  request.format = api::RecordFormat::kBatches;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .offset = offset,
       .bytes_max = 8 << 20});
  std::optional<api::FetchPartitionResult> result;
  for (int i = 0; i < kTries; ++i) {
    result.reset();
    world_.server.shard().RunNow([&] {
      world_.server.node().broker().Fetch(
          request, broker::Caller(),
          [&](api::FetchResponse response) { result = std::move(response.partitions.at(0)); });
    });
    if (!world_.loop.RunUntil([&] { return result.has_value(); }, kAnswerBound)) {
      return absl::InternalError("LIVENESS: a fetch hangs");
    }
    if (!IsRetriable(result->outcome.code) || result->outcome.ok()) break;
    world_.loop.RunFor(kRetryPause);
  }
  return *std::move(result);
}

absl::Status Verdict::ReadPartition(const SimTopic& topic, const TopicPartition& partition) {
  std::vector<ReadRecord> records;
  Offset next(0);
  Offset start(0);
  const Offset floor = world_.history.high_watermark_floor(partition);
  for (;;) {
    ASSIGN_OR_RETURN(const api::FetchPartitionResult result, FetchAt(partition, next));
    if (result.outcome.code == ErrorCode::kOffsetOutOfRange && next < result.log_start_offset) {
      next = start = result.log_start_offset;
      continue;
    }
    if (!result.outcome.ok()) {
      if (world_.history.damaged(partition)) {
        world_.Reached(absl::StrCat("damaged-", ErrorCodeName(result.outcome.code)));
        break;
      }
      return Liveness(
          topic, partition,
          absl::StrCat("reading at ", next.value(), ": ", ErrorCodeName(result.outcome.code), " ",
                       result.outcome.message));
    }
    RETURN_IF_ERROR(world_.history.OnHighWatermark(partition, floor, result.high_watermark));
    ASSIGN_OR_RETURN(const auto more, RecordsOf(result, next));
    if (more.empty()) break;
    records.insert(records.end(), more.begin(), more.end());
    next = more.back().offset + 1;
  }
  world_.report.records_read += static_cast<int64_t>(records.size());
  return world_.history.CheckWhole(partition, start, records);
}

absl::Status Verdict::WriteEverywhere() {
  for (const auto& topic : world_.topics) {
    if (!topic->live()) continue;
    for (int i = 0; i < topic->partitions; ++i) {
      RETURN_IF_ERROR(WritePartition(*topic, topic->Partition(i)));
    }
  }
  return absl::OkStatus();
}

absl::Status Verdict::WritePartition(const SimTopic& topic, const TopicPartition& partition) {
  if (world_.history.damaged(partition)) return absl::OkStatus();
  api::ProducePartitionResult result;
  for (int i = 0; i < kTries; ++i) {
    // A new record each time: what was refused must never be seen.
    const SimBatch batch = records_.BuildBatch(partition, 0);
    api::ProduceRequest request;
    request.partitions.push_back(
        {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
         .batches = batch.bytes});
    std::optional<api::ProducePartitionResult> answer;
    world_.server.shard().RunNow([&] {
      world_.server.node().broker().Produce(
          request, broker::Caller(),
          [&](const api::ProduceResponse& response) { answer = response.partitions.at(0); });
    });
    if (!world_.loop.RunUntil([&] { return answer.has_value(); }, kAnswerBound)) {
      return Liveness(topic, partition, "a produce hangs");
    }
    result = *answer;
    records_.OnProduced(batch.numbers, result);
    if (result.outcome.ok()) break;
    // Too large for the topic, or damaged on the way: the next one is another.
    world_.loop.RunFor(kRetryPause);
  }
  if (!result.outcome.ok()) {
    return Liveness(
        topic, partition,
        absl::StrCat("writing: ", ErrorCodeName(result.outcome.code), " ", result.outcome.message));
  }
  ASSIGN_OR_RETURN(const api::FetchPartitionResult fetched, FetchAt(partition, result.base_offset));
  if (!fetched.outcome.ok()) return Liveness(topic, partition, fetched.outcome.message);
  ASSIGN_OR_RETURN(const auto records, RecordsOf(fetched, result.base_offset));
  if (records.empty()) return Liveness(topic, partition, "what was acknowledged is not served");
  return world_.history.CheckRead(partition, records.front());
}

}  // namespace millrace::sim
