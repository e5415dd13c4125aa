#include "metadata/completed_requests.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::metadata {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kMinute = 60'000;

RequestClientId Client(uint64_t n) { return RequestClientId(Uuid(9, n)); }

class CompletedRequestsTest : public ::testing::Test {
 protected:
  // The next entry of the log.
  void Complete(uint64_t client, int64_t sequence, int64_t time_ms, std::string reply = "r") {
    requests_.Add({Client(client), sequence}, {.request_hash = 1,
                                               .time_ms = time_ms,
                                               .index = ++index_,
                                               .reply = Bytes::FromString(std::move(reply))});
  }
  bool Knows(uint64_t client, int64_t sequence) const {
    return requests_.Find({Client(client), sequence}) != nullptr;
  }
  bool Forgot(uint64_t client, int64_t sequence) const {
    return requests_.IsForgotten({Client(client), sequence});
  }

  CompletedRequests requests_;
  LogIndex index_{0};
};

TEST_F(CompletedRequestsTest, S39_ReplyIsKnownByClientAndSequence) {
  Complete(1, 1, 0, "first");
  Complete(2, 1, 0, "other");
  EXPECT_EQ(requests_.Find({Client(1), 1})->reply, Bytes::Copy("first"));
  EXPECT_EQ(requests_.Find({Client(2), 1})->reply, Bytes::Copy("other"));
  EXPECT_FALSE(Knows(1, 2));
  EXPECT_FALSE(Forgot(1, 2));
  EXPECT_FALSE(Forgot(3, 1));
  EXPECT_EQ(requests_.client_count(), 2u);
  EXPECT_EQ(requests_.reply_count(), 2u);
  EXPECT_EQ(requests_.reply_bytes(), 10u);
}

TEST_F(CompletedRequestsTest, S39_OldReplyIsForgottenByRecordTimeAndLeavesItsMark) {
  Complete(1, 1, 0);
  Complete(1, 2, 5 * kMinute);
  Complete(2, 1, 15 * kMinute);
  EXPECT_TRUE(Knows(1, 1));
  Complete(2, 2, 15 * kMinute + 1);
  EXPECT_FALSE(Knows(1, 1));
  EXPECT_TRUE(Forgot(1, 1));
  EXPECT_TRUE(Knows(1, 2));
  EXPECT_FALSE(Forgot(1, 2));
}

TEST_F(CompletedRequestsTest, S39_RequestUnderTheMarkIsNeverTakenForNew) {
  Complete(1, 5, 0);
  Complete(2, 1, 16 * kMinute);
  ASSERT_TRUE(Forgot(1, 5));
  // One below that never took effect: nobody knows any more.
  EXPECT_TRUE(Forgot(1, 3));
  EXPECT_FALSE(Forgot(1, 6));
  Complete(1, 3, 16 * kMinute);
  EXPECT_FALSE(Knows(1, 3));
}

TEST_F(CompletedRequestsTest, NoClientPushesOutTheRepliesOfOthers) {
  Complete(1, 1, 0);
  const auto max = static_cast<int64_t>(CompletedRequests::kRepliesPerClientMax);
  for (int64_t i = 1; i <= 2 * max; ++i) Complete(2, i, 0);
  EXPECT_TRUE(Knows(1, 1));
  EXPECT_TRUE(Forgot(2, max));
  EXPECT_TRUE(Knows(2, max + 1));
  EXPECT_EQ(requests_.reply_count(), static_cast<size_t>(max) + 1);
}

TEST_F(CompletedRequestsTest, RepliesAreBoundByCountAndByBytes) {
  for (uint64_t i = 0; i < CompletedRequests::kRepliesMax + 10; ++i) Complete(i, 1, 0);
  EXPECT_EQ(requests_.reply_count(), CompletedRequests::kRepliesMax);
  EXPECT_TRUE(Forgot(9, 1));
  EXPECT_TRUE(Knows(10, 1));
  Complete(1, 2, 0, std::string(CompletedRequests::kReplyBytesMax, 'x'));
  EXPECT_EQ(requests_.reply_count(), 1u);
  // Larger than all of the memory: known to have happened, and no more.
  Complete(1, 3, 0, std::string(CompletedRequests::kReplyBytesMax + 1, 'x'));
  EXPECT_EQ(requests_.reply_count(), 0u);
  EXPECT_EQ(requests_.reply_bytes(), 0u);
  EXPECT_TRUE(Forgot(1, 3));
}

TEST_F(CompletedRequestsTest, SilentClientIsForgottenAfterADay) {
  Complete(1, 1, 0);
  Complete(2, 1, 0);
  Complete(1, 2, 24 * 60 * kMinute);
  EXPECT_TRUE(Forgot(2, 1));
  Complete(1, 3, 24 * 60 * kMinute + 1);
  EXPECT_EQ(requests_.FindClient(Client(2)), nullptr);
  EXPECT_EQ(requests_.client_count(), 1u);
  EXPECT_TRUE(Knows(1, 2));
}

TEST_F(CompletedRequestsTest, TheMostSilentOfTooManyClientsIsForgotten) {
  for (uint64_t i = 0; i < CompletedRequests::kClientsMax; ++i) Complete(i, 1, 0);
  Complete(0, 2, 0);
  Complete(CompletedRequests::kClientsMax, 1, 0);
  EXPECT_EQ(requests_.client_count(), CompletedRequests::kClientsMax);
  EXPECT_NE(requests_.FindClient(Client(0)), nullptr);
  EXPECT_EQ(requests_.FindClient(Client(1)), nullptr);
}

TEST_F(CompletedRequestsTest, ClockThatFallsBackForgetsNothing) {
  Complete(1, 1, 60 * kMinute);
  Complete(1, 2, 0);
  Complete(1, 3, 60 * kMinute);
  EXPECT_TRUE(Knows(1, 1));
  // Behind it in the log; it goes when the one before it does, or by count.
  EXPECT_TRUE(Knows(1, 2));
}

TEST_F(CompletedRequestsTest, WhatIsRestoredGoesOnAsTheOriginal) {
  for (int64_t i = 1; i <= 300; ++i) Complete(static_cast<uint64_t>(i % 7), i, i * kMinute / 10);
  CompletedRequests restored;
  requests_.ForEachClient([&](RequestClientId id, const RequestClient& client) {
    restored.RestoreClient(id, client);
    client.requests.ForEach([&](int64_t sequence, const CompletedRequest& request) {
      restored.RestoreRequest({id, sequence}, request);
    });
  });
  EXPECT_EQ(restored, requests_);
  EXPECT_EQ(restored.reply_count(), requests_.reply_count());
  EXPECT_EQ(restored.reply_bytes(), requests_.reply_bytes());
  const CompletedRequest next{.request_hash = 2,
                              .time_ms = 40 * kMinute,
                              .index = LogIndex(301),
                              .reply = Bytes::Copy("next")};
  restored.Add({Client(1), 301}, next);
  requests_.Add({Client(1), 301}, next);
  EXPECT_EQ(restored, requests_);
  EXPECT_EQ(restored.reply_count(), requests_.reply_count());
}

TEST_F(CompletedRequestsTest, DifferenceIsWhatWasRememberedAndWhatWasForgotten) {
  Complete(1, 1, 0);
  Complete(2, 1, 0);
  Complete(3, 1, 10 * kMinute);
  const CompletedRequests before = requests_;
  Complete(1, 2, 16 * kMinute);
  std::set<RequestClientId> clients;
  std::set<RequestKey> requests;
  const auto difference = [&](const CompletedRequests& a, const CompletedRequests& b) {
    clients.clear();
    requests.clear();
    CompletedRequests::ForEachDifference(
        a, b, [&](RequestClientId id) { clients.insert(id); },
        [&](const RequestKey& key) { requests.insert(key); });
  };
  difference(before, requests_);
  EXPECT_THAT(clients, ElementsAre(Client(1), Client(2)));
  EXPECT_THAT(requests, ElementsAre(RequestKey{Client(1), 1}, RequestKey{Client(1), 2},
                                    RequestKey{Client(2), 1}));
  difference(requests_, requests_);
  EXPECT_THAT(clients, IsEmpty());
  difference(CompletedRequests(), before);
  EXPECT_EQ(clients.size(), 3u);
  EXPECT_EQ(requests.size(), 3u);
}

}  // namespace
}  // namespace millrace::metadata
