#include "client/producer_core.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"

namespace millrace::client {
namespace {

constexpr NodeId kA{1};
constexpr NodeId kB{2};

TopicId Topic() { return TopicId(Uuid(7, 7)); }

// Batches as the shell's slots hold them: full ones, and perhaps one that is filling.
class FakeSource final : public BatchSource {
 public:
  bool Take(SlotIndex slot, bool open_too, std::vector<CoreBatch>* batches) override {
    Slot& from = slots_[slot];
    for (CoreBatch& batch : from.full) batches->push_back(std::move(batch));
    from.full.clear();
    if (open_too && from.open.has_value()) {
      batches->push_back(*std::move(from.open));
      from.open.reset();
    }
    return from.open.has_value();
  }

  struct Slot {
    std::vector<CoreBatch> full;
    std::optional<CoreBatch> open;
  };
  std::map<SlotIndex, Slot> slots_;
};

// Drives a core by hand and writes down what it wants done, one word group per event:
//   connect 1 | send 1#5 p0:b1 p1:b2r1 (broker, request, partition: batch and restart number) |
//   done b1@10 | failed b1 CODE | reset 1 | suspect 1 | ask 1 | watch elsewhere
// Batches of an idempotent producer say their id and sequence: b1[7:0].
class Trace {
 public:
  explicit Trace(ProducerCoreOptions options = {})
      : idempotent_(options.idempotent), core_(options, &source_) {
    for (int partition = 0; partition < 2; ++partition) {
      core_.AddPartition("t", Topic(), PartitionIndex(partition));
    }
  }

  // A trace whose partitions are led by A, with its stream up.
  static Trace Led(ProducerCoreOptions options = {}) { return Trace(std::move(options), true); }

  std::string Full(int partition) { return Add(partition, /*full=*/true); }
  std::string Open(int partition) { return Add(partition, /*full=*/false); }

  std::string Leader(int partition, NodeId leader, int epoch) {
    core_.OnLeader(SlotIndex(partition), leader, LeaderEpoch(epoch), now_);
    return Output();
  }
  // A push that says nothing new.
  std::string Push() {
    core_.OnPush();
    return Output();
  }
  std::string Up(NodeId broker) {
    core_.OnStreamUp(broker, now_);
    return Output();
  }
  std::string Down(NodeId broker, ErrorCode code = ErrorCode::kBrokerNotAvailable) {
    core_.OnStreamDown(broker, MakeError(code, "gone"), now_);
    return Output();
  }
  std::string Ack(NodeId broker, uint64_t request, int partition, int offset) {
    return Respond(broker, request, partition, {}, offset);
  }
  std::string Refuse(NodeId broker, uint64_t request, int partition, ErrorCode code,
                     std::optional<LeaderHint> hint = std::nullopt) {
    return Respond(broker, request, partition,
                   {.code = code, .message = "", .leader = std::move(hint)}, -1);
  }
  std::string Identity(int64_t id) {
    core_.OnProducerId(api::ProducerIdentity{ProducerId(id), ProducerEpoch(0)}, now_);
    return Output();
  }
  std::string NoIdentity() {
    core_.OnProducerId(MakeError(ErrorCode::kNotController, "no leader"), now_);
    return Output();
  }
  std::string After(absl::Duration duration) {
    now_ = now_ + duration;
    core_.OnTime(now_);
    return Output();
  }
  std::string Flush() {
    core_.SetFlushing(true, now_);
    return Output();
  }
  std::string TopicGone(int partition) {
    core_.OnTopicGone(SlotIndex(partition), MakeError(ErrorCode::kUnknownTopicId, "deleted"));
    return Output();
  }
  std::string FailAll() {
    core_.FailAll(MakeError(ErrorCode::kCancelled, "closed"));
    return Output();
  }
  absl::Duration until_deadline() const { return core_.next_deadline() - now_; }
  const ProducerCore& core() const { return core_; }
  const absl::Status& last_failure() const { return last_failure_; }
  const api::ProduceStreamRequest& last_request() const { return last_request_; }

 private:
  Trace(ProducerCoreOptions options, bool) : Trace(std::move(options)) {
    Leader(0, kA, 1);
    Leader(1, kA, 1);
    Up(kA);
  }

  std::string Add(int partition, bool full) {
    record::BatchBuilder builder({});
    builder.Add(1, absl::nullopt, Slice("value"));
    CoreBatch batch{.token = BatchToken(++batches_), .bytes = builder.Build(), .created = now_};
    names_[batch.bytes.data()] = batches_;
    // An idempotent producer writes into memory that nobody else holds.
    if (!idempotent_) kept_.push_back(batch.bytes);
    FakeSource::Slot& slot = source_.slots_[SlotIndex(partition)];
    if (full) {
      slot.full.push_back(std::move(batch));
    } else {
      slot.open = std::move(batch);
    }
    core_.OnRecords(SlotIndex(partition), full, now_);
    return Output();
  }

  std::string Respond(NodeId broker, uint64_t request, int partition, api::PartitionOutcome outcome,
                      int offset) {
    api::ProduceStreamResponse response;
    response.request_number = request;
    response.partitions.push_back(
        {.name = {.topic = "t", .topic_id = Topic(), .partition = PartitionIndex(partition)},
         .outcome = std::move(outcome),
         .base_offset = Offset(offset)});
    core_.OnResponse(broker, response, now_);
    return Output();
  }

  std::string Output() {
    ProducerOutput output = core_.TakeOutput();
    std::vector<std::string> words;
    for (const ProducerOutput::Fate& fate : output.fates) {
      if (fate.status.ok()) {
        words.push_back(absl::StrCat("done b", fate.token.value(), "@", fate.base_offset.value()));
      } else {
        last_failure_ = fate.status;
        words.push_back(
            absl::StrCat("failed b", fate.token.value(), " ", ErrorCodeName(CodeOf(fate.status))));
      }
    }
    for (const ProducerOutput::Send& send : output.sends) {
      std::string word =
          absl::StrCat("send ", send.broker.value(), "#", send.request.request_number);
      for (const api::ProducePartition& partition : send.request.request.partitions) {
        absl::StrAppend(&word, " p", partition.name.partition.value(), ":",
                        NameOf(partition.batches));
        if (partition.restart != 0) absl::StrAppend(&word, "r", partition.restart);
      }
      if (!idempotent_) last_request_ = send.request;
      words.push_back(word);
    }
    for (NodeId broker : output.connects) words.push_back(absl::StrCat("connect ", broker.value()));
    for (NodeId broker : output.resets) words.push_back(absl::StrCat("reset ", broker.value()));
    for (NodeId broker : output.suspects) words.push_back(absl::StrCat("suspect ", broker.value()));
    if (output.ask_producer_id.has_value()) {
      words.push_back(absl::StrCat("ask ", output.ask_producer_id->value()));
    }
    if (output.change_watch) words.push_back("watch elsewhere");
    return absl::StrJoin(words, " | ");
  }

  // Batches are told apart by their memory: the core must hand on the bytes it was given.
  std::string NameOf(const Bytes& bytes) {
    const std::string name = absl::StrCat("b", names_.at(bytes.data()));
    if (!idempotent_) return name;
    const absl::StatusOr<record::BatchView> batch = record::BatchView::Parse(bytes);
    if (!batch.ok()) return absl::StrCat(name, "[", batch.status().ToString(), "]");
    return absl::StrCat(name, "[", batch->producer_id().value(), ":", batch->base_sequence(), "]");
  }

  const bool idempotent_;
  FakeSource source_;
  ProducerCore core_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000'000);
  uint64_t batches_ = 0;
  // By their memory, which stays with the test so that none is used twice.
  std::map<const char*, uint64_t> names_;
  std::vector<Bytes> kept_;
  absl::Status last_failure_;
  api::ProduceStreamRequest last_request_;
};

TEST(ProducerCore, OpenBatchLeavesAtOnceWhenThePipeIsEmptyAndFillsWhileItIsNot) {
  Trace t = Trace::Led();
  EXPECT_EQ(t.Open(0), "send 1#1 p0:b1");
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.Ack(kA, 1, 0, 10), "done b1@10 | send 1#2 p0:b2");
  EXPECT_EQ(t.Ack(kA, 2, 0, 11), "done b2@11");
  EXPECT_TRUE(t.core().idle());
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ProducerCore, FullBatchesArePipelinedUpToMaxInFlight) {
  Trace t = Trace::Led({.max_in_flight = 2});
  EXPECT_EQ(t.Full(0), "send 1#1 p0:b1");
  EXPECT_EQ(t.Full(0), "send 1#2 p0:b2");
  EXPECT_EQ(t.Full(0), "");
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b1@0 | send 1#3 p0:b3");
}

TEST(ProducerCore, BatchesOfSeveralPartitionsShareARequest) {
  Trace t;
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.Open(1), "");
  EXPECT_EQ(t.Leader(0, kA, 1), "connect 1");
  EXPECT_EQ(t.Leader(1, kA, 1), "");
  EXPECT_EQ(t.Up(kA), "send 1#1 p0:b1 p1:b2");
  EXPECT_EQ(t.last_request().request.partitions[0].leader_epoch, LeaderEpoch(1));
  EXPECT_TRUE(t.last_request().request.partitions[0].topic_checksum.has_value());
}

TEST(ProducerCore, RequestsKeepToTheirSizeButTakeOneBatch) {
  Trace t({.request_bytes_max = 1});
  t.Open(0);
  t.Open(1);
  t.Leader(0, kA, 1);
  t.Leader(1, kA, 1);
  EXPECT_EQ(t.Up(kA), "send 1#1 p0:b1 | send 1#2 p1:b2");
}

TEST(ProducerCore, LingerHoldsOpenBatchesAndFlushDoesNot) {
  Trace t = Trace::Led({.linger = absl::Milliseconds(10)});
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(10));
  EXPECT_EQ(t.After(absl::Milliseconds(9)), "");
  EXPECT_EQ(t.After(absl::Milliseconds(1)), "send 1#1 p0:b1");
  EXPECT_EQ(t.Full(1), "send 1#2 p1:b2");
  t.Ack(kA, 1, 0, 0);
  t.Ack(kA, 2, 1, 0);
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.Flush(), "send 1#3 p0:b3");
}

TEST(ProducerCore, AnOpenBatchLingersFromWhenTheOneBeforeItWasFull) {
  Trace t = Trace::Led({.linger = absl::Milliseconds(10)});
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Milliseconds(6)), "");
  EXPECT_EQ(t.Full(0), "send 1#1 p0:b2");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(10));
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b2@0");
  EXPECT_EQ(t.After(absl::Milliseconds(4)), "");
  EXPECT_EQ(t.After(absl::Milliseconds(6)), "send 1#2 p0:b1");
}

TEST(ProducerCore, AFullBatchThatCannotLeaveDoesNotTakeTheOpenOneWithIt) {
  Trace t({.linger = absl::Milliseconds(10)});
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Milliseconds(6)), "");
  EXPECT_EQ(t.Full(0), "");
  EXPECT_EQ(t.After(absl::Milliseconds(6)), "");
  EXPECT_EQ(t.Leader(0, kA, 1), "connect 1");
  EXPECT_EQ(t.Up(kA), "send 1#1 p0:b2");
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b2@0");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(4));
  EXPECT_EQ(t.After(absl::Milliseconds(4)), "send 1#2 p0:b1");
}

TEST(ProducerCore, FullBatchesDoNotPutOffTheEndOfThoseThatWaitBeforeThem) {
  Trace t({.delivery_timeout = absl::Milliseconds(100)});
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Milliseconds(60)), "");
  EXPECT_EQ(t.Full(0), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(40));
  EXPECT_EQ(t.After(absl::Milliseconds(40)), "failed b1 REQUEST_TIMED_OUT");
}

TEST(ProducerCore, LingerThatPassedWhileThePipeIsBusyIsNoDeadline) {
  Trace t = Trace::Led({.linger = absl::Milliseconds(10)});
  t.Full(0);
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Milliseconds(10)), "");
  EXPECT_GT(t.until_deadline(), absl::Milliseconds(500));
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b1@0 | send 1#2 p0:b2");
}

// The answer of one may be long in coming: its in-sync set is too small, say, or its disk hangs.
TEST(ProducerCore, AnOpenBatchDoesNotWaitLongForOtherPartitionsAnswers) {
  Trace t = Trace::Led();
  EXPECT_EQ(t.Open(0), "send 1#1 p0:b1");
  EXPECT_EQ(t.Open(1), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(5));
  EXPECT_EQ(t.After(absl::Milliseconds(5)), "send 1#2 p1:b2");
  EXPECT_EQ(t.Open(1), "") << "it waits for its own partition's answer, and fills";
  EXPECT_EQ(t.After(absl::Milliseconds(5)), "");
  EXPECT_GT(t.until_deadline(), absl::Milliseconds(500));
  EXPECT_EQ(t.Ack(kA, 2, 1, 0), "done b2@0 | send 1#3 p1:b3");
}

TEST(ProducerCore, AnOpenBatchIsNotStarvedByAPartitionThatIsNeverIdle) {
  Trace t = Trace::Led({.linger = absl::Milliseconds(10)});
  EXPECT_EQ(t.Full(0), "send 1#1 p0:b1");
  EXPECT_EQ(t.Open(1), "");
  EXPECT_EQ(t.After(absl::Milliseconds(10)), "");
  EXPECT_EQ(t.Full(0), "send 1#2 p0:b3");
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b1@0");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(5));
  EXPECT_EQ(t.After(absl::Milliseconds(5)), "send 1#3 p1:b2");
}

// Else a partition that is busy would send small ones all the time.
TEST(ProducerCore, AnOpenBatchBehindFullOnesBeginsToFillWhenTheyLeave) {
  Trace t = Trace::Led();
  EXPECT_EQ(t.Full(1), "send 1#1 p1:b1");
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Milliseconds(4)), "");
  EXPECT_EQ(t.Full(0), "send 1#2 p0:b3");
  EXPECT_EQ(t.After(absl::Milliseconds(4)), "");
  EXPECT_EQ(t.Ack(kA, 2, 0, 0), "done b3@0");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(1));
  EXPECT_EQ(t.After(absl::Milliseconds(1)), "send 1#3 p0:b2");
}

TEST(ProducerCore, MaxInFlightHoldsForOpenBatchesToo) {
  Trace t = Trace::Led({.max_in_flight = 1});
  EXPECT_EQ(t.Open(0), "send 1#1 p0:b1");
  EXPECT_EQ(t.Open(1), "");
  EXPECT_EQ(t.After(absl::Milliseconds(5)), "");
  EXPECT_GT(t.until_deadline(), absl::Milliseconds(500));
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b1@0 | send 1#2 p1:b2");
}

TEST(ProducerCore, FlushSendsOpenBatchesBehindThoseInFlight) {
  Trace t = Trace::Led();
  t.Open(0);
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.Flush(), "send 1#2 p0:b2");
}

// S-23.
TEST(ProducerCore, AfterAFailureAllComeBackBeforeTheFirstIsSentAgainUnderANewNumber) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Full(0);
  t.Full(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kStreamOrderBroken), "");
  EXPECT_EQ(t.Full(0), "");
  EXPECT_EQ(t.Refuse(kA, 3, 0, ErrorCode::kStreamOrderBroken),
            "send 1#4 p0:b1r1 | send 1#5 p0:b2r1 | send 1#6 p0:b3r1 | send 1#7 p0:b4r1");
  EXPECT_EQ(t.Ack(kA, 4, 0, 0), "done b1@0");
}

TEST(ProducerCore, OneThatIsRefusedForGoodDoesNotHoldUpTheNext) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Full(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kMessageTooLarge), "failed b1 MESSAGE_TOO_LARGE");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kStreamOrderBroken), "send 1#3 p0:b2r1");
  EXPECT_EQ(t.last_failure().message(), "t-0: MESSAGE_TOO_LARGE");
}

TEST(ProducerCore, OtherPartitionsGoOnAfterAFailure) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Full(1);
  t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(t.Full(1), "send 1#3 p1:b3");
  EXPECT_EQ(t.Ack(kA, 2, 1, 5), "done b2@5");
}

TEST(ProducerCore, RetriesWaitForTheBackoff) {
  Trace t = Trace::Led({.retry_backoff = absl::Milliseconds(50)});
  t.Open(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(50));
  EXPECT_EQ(t.After(absl::Milliseconds(50)), "send 1#2 p0:b1r1");
}

TEST(ProducerCore, WithoutRetriesARecordFailsInsteadOfBeingSentTwice) {
  Trace t = Trace::Led({.retries = 0});
  t.Full(0);
  t.Full(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas), "failed b1 NOT_ENOUGH_REPLICAS");
  // The second was refused unappended, for the first's sake: to send it is its first attempt.
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kStreamOrderBroken), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "send 1#3 p0:b2r1");
  EXPECT_EQ(t.Down(kA), "failed b2 BROKER_NOT_AVAILABLE");
  EXPECT_TRUE(t.core().idle());
}

TEST(ProducerCore, RetriesAreCounted) {
  Trace t = Trace::Led({.retries = 1});
  t.Open(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "send 1#2 p0:b1r1");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kNotEnoughReplicas), "failed b1 NOT_ENOUGH_REPLICAS");
}

TEST(ProducerCore, WhatWasInFlightOnALostStreamIsSentAgainInOrder) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Full(0);
  EXPECT_EQ(t.Down(kA), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "connect 1");
  EXPECT_EQ(t.Up(kA), "send 1#3 p0:b1r1 | send 1#4 p0:b2r1");
  // An answer of the former stream, come late, means nothing.
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "");
}

TEST(ProducerCore, ABrokerThatIsGoneIsAskedOncePerBackoff) {
  Trace t;
  t.Leader(0, kA, 1);
  EXPECT_EQ(t.Open(0), "connect 1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(t.Down(kA), "");
    EXPECT_EQ(t.until_deadline(), absl::Milliseconds(100));
    EXPECT_EQ(t.After(absl::Milliseconds(100)), "connect 1");
    EXPECT_GE(t.until_deadline(), absl::Milliseconds(700)) << "no sooner than the watch's doubt";
  }
}

TEST(ProducerCore, AStreamThatIsRefusedForGoodFailsItsBatches) {
  Trace t = Trace::Led();
  t.Open(0);
  EXPECT_EQ(t.Down(kA, ErrorCode::kAuthorizationFailed), "failed b1 AUTHORIZATION_FAILED");
}

TEST(ProducerCore, HintOfANewLeaderIsFollowedAtOnce) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Full(0);
  const LeaderHint hint{.leader = kB, .leader_epoch = LeaderEpoch(2)};
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower, hint), "connect 2");
  EXPECT_EQ(t.Up(kB), "");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kNotLeaderOrFollower, hint),
            "send 2#3 p0:b1r1 | send 2#4 p0:b2r1");
  EXPECT_EQ(t.last_request().request.partitions[0].leader_epoch, LeaderEpoch(2));
}

// S-40.
TEST(ProducerCore, HintsAndPushesOfNoHigherEpochAreIgnored) {
  Trace t = Trace::Led();
  t.Open(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower,
                     LeaderHint{.leader = kB, .leader_epoch = LeaderEpoch(1)}),
            "");
  EXPECT_EQ(t.Leader(0, kB, 0), "");
  EXPECT_EQ(t.Leader(0, kB, 1), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "send 1#2 p0:b1r1");
}

TEST(ProducerCore, NothingOvertakesWhatIsInFlightToTheFormerLeader) {
  Trace t = Trace::Led();
  t.Up(kB);
  t.Full(0);
  EXPECT_EQ(t.Leader(0, kB, 2), "");
  EXPECT_EQ(t.Full(0), "");
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower),
            "send 2#2 p0:b1r1 | send 2#3 p0:b2r1");
}

TEST(ProducerCore, FormerLeaderThatAnswersAfterAllIsBelieved) {
  Trace t = Trace::Led();
  t.Up(kB);
  t.Full(0);
  t.Full(0);
  t.Leader(0, kB, 2);
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b1@0");
  EXPECT_EQ(t.Ack(kA, 2, 0, 1), "done b2@1");
  EXPECT_EQ(t.Full(0), "send 2#3 p0:b3");
}

TEST(ProducerCore, FormerLeaderThatIsStoppedIsNotWaitedForLong) {
  Trace t = Trace::Led();
  t.Up(kB);
  t.Full(0);
  t.Full(0);
  t.Leader(0, kNoNode, 2);
  EXPECT_EQ(t.After(absl::Milliseconds(600)), "");
  EXPECT_EQ(t.Leader(0, kB, 3), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(400));
  EXPECT_EQ(t.After(absl::Milliseconds(400)), "suspect 1");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(100));
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "reset 1");
  EXPECT_EQ(t.Down(kA, ErrorCode::kCancelled), "send 2#3 p0:b1r1 | send 2#4 p0:b2r1");
  EXPECT_EQ(t.Ack(kB, 3, 0, 7), "done b1@7");
}

TEST(ProducerCore, ABrokerThatLeadsIsSuspectedOncePerRequestAndHasItsTimeToAnswer) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Full(0);
  EXPECT_EQ(t.until_deadline(), absl::Seconds(1));
  EXPECT_EQ(t.After(absl::Seconds(1)), "suspect 1");
  EXPECT_EQ(t.After(absl::Seconds(10)), "");
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "done b1@0");
  EXPECT_EQ(t.After(absl::Milliseconds(1)), "suspect 1");
  EXPECT_EQ(t.Ack(kA, 2, 0, 1), "done b2@1");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ProducerCore, WithoutALeaderRecordsWaitForOne) {
  Trace t = Trace::Led();
  t.Leader(0, kNoNode, 2);
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Seconds(1)), "");
  EXPECT_EQ(t.Leader(0, kA, 3), "send 1#1 p0:b1");
}

TEST(ProducerCore, BatchesThatNobodyTakesExpire) {
  Trace t({.delivery_timeout = absl::Seconds(2)});
  t.Open(0);
  EXPECT_EQ(t.until_deadline(), absl::Seconds(2));
  EXPECT_EQ(t.After(absl::Seconds(2)), "failed b1 REQUEST_TIMED_OUT");
  EXPECT_THAT(
      t.last_failure(),
      testing::AllOf(IsError(ErrorCode::kRequestTimedOut, "it has no leader"),
                     IsError(ErrorCode::kRequestTimedOut, "'millrace topic describe t' says")));
  EXPECT_TRUE(t.core().idle());
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration());
}

TEST(ProducerCore, ExpiryTellsTheLatestFailure) {
  Trace t = Trace::Led({.delivery_timeout = absl::Milliseconds(150)});
  t.Open(0);
  t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "send 1#2 p0:b1r1");
  // In flight at its deadline: its answer is still believed, but it is not sent again.
  EXPECT_EQ(t.After(absl::Milliseconds(60)), "");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kNotEnoughReplicas), "failed b1 NOT_ENOUGH_REPLICAS");
}

TEST(ProducerCore, ExpiryTellsWhyTheBrokerCannotBeReached) {
  Trace t({.delivery_timeout = absl::Seconds(2)});
  t.Leader(0, kA, 1);
  t.Open(0);
  t.Down(kA);
  EXPECT_EQ(t.After(absl::Seconds(2)), "failed b1 REQUEST_TIMED_OUT | watch elsewhere");
  EXPECT_THAT(t.last_failure(), IsError(ErrorCode::kRequestTimedOut, "gone"));
}

TEST(ProducerCore, AStreamThatDoesNotAnswerIsResetOnce) {
  Trace t = Trace::Led({.request_timeout = absl::Seconds(1)});
  t.Open(0);
  EXPECT_EQ(t.until_deadline(), absl::Seconds(1));
  EXPECT_EQ(t.After(absl::Seconds(1)), "reset 1 | suspect 1");
  EXPECT_EQ(t.After(absl::Seconds(1)), "");
  EXPECT_GT(t.until_deadline(), absl::Seconds(1));
  // Nothing is entrusted to a stream that is being cancelled.
  EXPECT_EQ(t.Full(1), "");
  EXPECT_EQ(t.Down(kA, ErrorCode::kCancelled), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "connect 1");
  EXPECT_EQ(t.Up(kA), "send 1#2 p1:b2 p0:b1r1");
}

TEST(ProducerCore, TheBrokerGivesUpBeforeTheProducerDoes) {
  Trace t = Trace::Led({.request_timeout = absl::Seconds(10)});
  t.Open(0);
  EXPECT_LT(t.last_request().request.timeout, absl::Seconds(10));
  EXPECT_GT(t.last_request().request.timeout, absl::Seconds(5));
}

TEST(ProducerCore, RecordsOfATopicThatIsGoneFailAtOnceAndThoseInFlightWhenAnswered) {
  Trace t = Trace::Led();
  EXPECT_EQ(t.Full(0), "send 1#1 p0:b1");
  EXPECT_EQ(t.Full(0), "send 1#2 p0:b2");
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.TopicGone(0), "failed b3 UNKNOWN_TOPIC_ID");
  EXPECT_EQ(t.Open(0), "failed b4 UNKNOWN_TOPIC_ID");
  // One was appended before the end; the other is not tried again.
  EXPECT_EQ(t.Ack(kA, 1, 0, 7), "done b1@7");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kUnknownTopicId), "failed b2 UNKNOWN_TOPIC_ID");
  EXPECT_TRUE(t.core().idle());
  EXPECT_EQ(t.Open(1), "send 1#3 p1:b5");
}

TEST(ProducerCore, ATopicThatIsToldOfAgainTakesRecordsAgain) {
  Trace t = Trace::Led();
  t.TopicGone(0);
  EXPECT_EQ(t.Open(0), "failed b1 UNKNOWN_TOPIC_ID");
  // Also where its leader and epoch are what they were.
  EXPECT_EQ(t.Leader(0, kA, 1), "");
  EXPECT_EQ(t.Open(0), "send 1#1 p0:b2");
}

TEST(ProducerCore, WhereALeaderIsLostAndNothingIsPushedLeadersAreWatchedElsewhereOnce) {
  Trace t = Trace::Led();
  EXPECT_EQ(t.Down(kA), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(900));
  EXPECT_EQ(t.After(absl::Milliseconds(900)), "watch elsewhere");
  EXPECT_EQ(t.until_deadline(), absl::InfiniteDuration()) << "not again without another reason";

  Trace other = Trace::Led();
  other.Leader(0, kB, 2);
  other.Leader(1, kB, 2);
  other.Down(kA);
  EXPECT_EQ(other.After(absl::Seconds(5)), "") << "it leads nothing any more";
}

TEST(ProducerCore, AWatchThatTellsSomethingIsKept) {
  Trace t = Trace::Led();
  t.Down(kA);
  t.Push();
  EXPECT_EQ(t.After(absl::Seconds(5)), "");
}

TEST(ProducerCore, AHintThatTheWatchDoesNotConfirmIsFollowedAndTheWatchIsChanged) {
  Trace t = Trace::Led();
  t.Open(0);
  EXPECT_EQ(
      t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower, LeaderHint{kB, LeaderEpoch(2), "b:1"}),
      "connect 2");
  EXPECT_EQ(t.Up(kB), "send 2#2 p0:b1r1");
  EXPECT_EQ(t.Ack(kB, 2, 0, 10), "done b1@10");
  EXPECT_EQ(t.After(absl::Seconds(1)), "watch elsewhere");
}

TEST(ProducerCore, ALeaderThatSaysItIsNoneAndKnowsOfNoOtherIsADoubtInTheWatchToo) {
  Trace t = Trace::Led();
  t.Open(0);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kNotLeaderOrFollower), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "send 1#2 p0:b1r1");
  EXPECT_EQ(t.Ack(kA, 2, 0, 10), "done b1@10");
  EXPECT_EQ(t.After(absl::Milliseconds(900)), "watch elsewhere");
}

TEST(ProducerCore, FailAllReportsEachBatchOnce) {
  Trace t = Trace::Led();
  t.Full(0);
  t.Open(0);
  EXPECT_EQ(t.FailAll(), "failed b1 CANCELLED | failed b2 CANCELLED");
  EXPECT_TRUE(t.core().idle());
  EXPECT_EQ(t.Ack(kA, 1, 0, 0), "");
  EXPECT_EQ(t.Down(kA), "");
}

TEST(ProducerCore, OldDeadlinesAreOverAfterOnTime) {
  Trace t = Trace::Led({.linger = absl::Milliseconds(1)});
  t.Open(0);
  t.After(absl::Milliseconds(5));
  t.Refuse(kA, 1, 0, ErrorCode::kNotEnoughReplicas);
  t.Leader(0, kNoNode, 2);
  t.After(absl::Milliseconds(200));
  t.Open(0);
  t.Open(1);
  t.After(absl::Milliseconds(200));
  EXPECT_GT(t.until_deadline(), absl::ZeroDuration());
}

TEST(IdempotentProducerCore, NothingLeavesBeforeThereIsAnIdAndABatchKeepsItsNumberOverRetries) {
  Trace t = Trace::Led({.idempotent = true});
  EXPECT_EQ(t.Full(0), "ask 1");
  EXPECT_EQ(t.Full(0), "");
  EXPECT_EQ(t.Open(1), "") << "one question for all partitions";
  EXPECT_EQ(t.Identity(7), "send 1#1 p0:b1[7:0] p1:b3[7:0] | send 1#2 p0:b2[7:1]");
  // The answers are lost with the stream; both may be in the log.
  EXPECT_EQ(t.Down(kA), "");
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "connect 1");
  EXPECT_EQ(t.Up(kA), "send 1#3 p0:b1[7:0]r1 p1:b3[7:0]r1 | send 1#4 p0:b2[7:1]r1");
  EXPECT_EQ(t.Ack(kA, 3, 0, 10), "done b1@10");
  EXPECT_EQ(t.Full(0), "send 1#5 p0:b4[7:2]r1");
}

TEST(IdempotentProducerCore, WhatAFormerLeaderMayHaveLeftInTheLogIsSentAgainUnderItsNumber) {
  Trace t = Trace::Led({.idempotent = true});
  t.Full(0);
  EXPECT_EQ(t.Identity(7), "send 1#1 p0:b1[7:0]");
  const LeaderHint hint{.leader = kB, .leader_epoch = LeaderEpoch(2)};
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kOutcomeUnknown, hint), "connect 2");
  EXPECT_EQ(t.Up(kB), "send 2#2 p0:b1[7:0]r1");
}

TEST(IdempotentProducerCore, WithoutAnIdItAsksAgainAndSaysWhyRecordsExpire) {
  Trace t = Trace::Led({.delivery_timeout = absl::Seconds(1), .idempotent = true});
  EXPECT_EQ(t.Full(0), "ask 1");
  EXPECT_EQ(t.NoIdentity(), "");
  EXPECT_EQ(t.until_deadline(), absl::Milliseconds(100));
  EXPECT_EQ(t.After(absl::Milliseconds(100)), "ask 1");
  EXPECT_EQ(t.NoIdentity(), "");
  EXPECT_EQ(t.Open(0), "");
  EXPECT_EQ(t.After(absl::Seconds(2)), "failed b1 REQUEST_TIMED_OUT | failed b2 REQUEST_TIMED_OUT");
  EXPECT_THAT(std::string(t.last_failure().message()), testing::HasSubstr("no producer id"));
}

TEST(IdempotentProducerCore, ADuplicateIsThere) {
  Trace t = Trace::Led({.idempotent = true});
  t.Full(0);
  t.Identity(7);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kDuplicateSequenceNumber), "done b1@-1");
}

TEST(IdempotentProducerCore, AfterABatchThatWasGivenUpTheNextBeginsAnewUnderAnotherId) {
  Trace t = Trace::Led({.idempotent = true});
  t.Full(0);
  t.Identity(7);
  EXPECT_EQ(t.Full(0), "send 1#2 p0:b2[7:1]");
  EXPECT_EQ(t.Full(1), "send 1#3 p1:b3[7:0]");
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kMessageTooLarge), "failed b1 MESSAGE_TOO_LARGE");
  EXPECT_EQ(t.Refuse(kA, 2, 0, ErrorCode::kStreamOrderBroken), "send 1#4 p0:b2[7:1]r1");
  // The broker expects 0 still: b2 is not in its log.
  EXPECT_EQ(t.Refuse(kA, 4, 0, ErrorCode::kOutOfOrderSequenceNumber), "ask 1");
  EXPECT_EQ(t.Identity(8), "send 1#5 p0:b2[8:0]r2");
  // The other partition goes on under the id it has.
  EXPECT_EQ(t.Full(1), "send 1#6 p1:b4[7:1]");
  EXPECT_EQ(t.Ack(kA, 5, 0, 0), "done b2@0");
}

TEST(IdempotentProducerCore, OnlyOneIdIsAskedForWhenSeveralPartitionsHaveLostTheThread) {
  Trace t = Trace::Led({.idempotent = true});
  t.Full(0);
  t.Identity(7);
  t.Full(1);
  EXPECT_EQ(t.Refuse(kA, 1, 0, ErrorCode::kInvalidProducerEpoch), "ask 1");
  EXPECT_EQ(t.Refuse(kA, 2, 1, ErrorCode::kUnknownProducerId), "");
  EXPECT_EQ(t.Identity(8), "send 1#3 p0:b1[8:0]r1 p1:b2[8:0]r1");
}

}  // namespace
}  // namespace millrace::client
