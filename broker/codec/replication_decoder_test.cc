#include "broker/codec/replication_decoder.h"

#include <optional>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "broker/codec/replication_format.h"
#include "broker/codec/testing/sample_replication.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/replica_service.pb.h"

namespace millrace::broker {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<FollowRequest> DecodeFollower(const std::string& bytes) {
  const Slice piece = bytes;
  return DecodeFollowRequest({&piece, 1});
}
absl::StatusOr<FollowResponse> DecodeLeader(const std::string& bytes) {
  const Slice piece = bytes;
  return DecodeFollowResponse({&piece, 1});
}

std::string SampleFollowerBytes() { return Join(EncodeFollowerMessage(SampleFollowerMessage())); }
std::string SampleLeaderBytes() { return Join(EncodeLeaderMessage(SampleLeaderMessage())); }

// The message again, if it may be said.
std::string Again(const ReceivedLeaderMessage& message) {
  LeaderMessage out;
  out.replies = message.replies;
  out.detaches = message.detaches;
  out.asks = message.asks;
  for (const ReplicaPush& push : message.pushes) {
    OutgoingPush& outgoing = out.pushes.emplace_back();
    outgoing.push = push;
    outgoing.push.batches = Bytes();
    if (!push.batches.empty()) outgoing.pieces.push_back(push.batches);
  }
  return Join(EncodeLeaderMessage(out));
}

TEST(ReplicationDecoderTest, WhatAFollowerSaysComesBackAsItWas) {
  ASSERT_OK_AND_ASSIGN(const FollowRequest request, DecodeFollower(SampleFollowerBytes()));
  EXPECT_FALSE(request.hello.has_value());
  EXPECT_EQ(request.message, SampleFollowerMessage());
}

TEST(ReplicationDecoderTest, WhatALeaderSaysComesBackAsItWas) {
  ASSERT_OK_AND_ASSIGN(const FollowResponse response, DecodeLeader(SampleLeaderBytes()));
  EXPECT_FALSE(response.hello.has_value());
  EXPECT_EQ(response.message, AsReceived(SampleLeaderMessage()));
}

TEST(ReplicationDecoderTest, HellosComeBackAsTheyWere) {
  ASSERT_OK_AND_ASSIGN(const FollowRequest request,
                       DecodeFollower(Join(EncodeFollowerHello(SampleFollowerHello()))));
  EXPECT_EQ(request.hello, SampleFollowerHello());
  EXPECT_TRUE(request.message.empty());
  const LeaderHello hello{2, 3};
  ASSERT_OK_AND_ASSIGN(const FollowResponse response, DecodeLeader(Join(EncodeLeaderHello(hello))));
  EXPECT_EQ(response.hello, hello);
}

TEST(ReplicationDecoderTest, APushsBatchesAreInMemoryThatALogMayOwn) {
  ASSERT_OK_AND_ASSIGN(FollowResponse response, DecodeLeader(SampleLeaderBytes()));
  for (ReplicaPush& push : response.message.pushes) {
    if (push.batches.empty()) continue;
    const size_t size = push.batches.size();
    const std::optional<Buffer> own = Buffer::Reclaim(&push.batches);
    ASSERT_TRUE(own.has_value());
    EXPECT_EQ(own->size(), size);
  }
}

TEST(ReplicationDecoderTest, HowTheMessageLiesInPiecesDoesNotMatter) {
  const std::string bytes = SampleLeaderBytes();
  for (const size_t size : {1, 2, 3, 7, 64, 1000}) {
    std::vector<Slice> pieces;
    for (size_t at = 0; at < bytes.size(); at += size) {
      pieces.push_back(Slice(bytes).substr(at, size));
    }
    ASSERT_OK_AND_ASSIGN(const FollowResponse response, DecodeFollowResponse(pieces));
    EXPECT_EQ(response.message, AsReceived(SampleLeaderMessage())) << size;
  }
}

TEST(ReplicationDecoderTest, AMessageCutAnywhereIsRefusedOrHasFewerFrames) {
  const std::string follower = SampleFollowerBytes();
  for (size_t size = 0; size < follower.size(); ++size) {
    const auto request = DecodeFollower(follower.substr(0, size));
    if (!request.ok()) {
      EXPECT_EQ(CodeOf(request.status()), ErrorCode::kCorruptMessage) << size;
    } else {
      // Cut between two of them.
      EXPECT_EQ(Join(EncodeFollowerMessage(request->message)), follower.substr(0, size));
    }
  }
  const std::string leader = SampleLeaderBytes();
  for (size_t size = 0; size < leader.size(); ++size) {
    const auto response = DecodeLeader(leader.substr(0, size));
    if (!response.ok()) {
      EXPECT_EQ(CodeOf(response.status()), ErrorCode::kCorruptMessage) << size;
    } else {
      EXPECT_EQ(Again(response->message), leader.substr(0, size));
    }
  }
}

TEST(ReplicationDecoderTest, EveryFlippedBitIsRefusedOrGivesAMessageThatCanBeSaidAgain) {
  std::string follower = SampleFollowerBytes();
  for (size_t bit = 0; bit < follower.size() * 8; ++bit) {
    const char mask = static_cast<char>(1 << (bit % 8));
    follower[bit / 8] = static_cast<char>(follower[bit / 8] ^ mask);
    if (const auto request = DecodeFollower(follower); request.ok()) {
      const auto again = DecodeFollower(Join(EncodeFollowerMessage(request->message)));
      ASSERT_OK(again.status());
      EXPECT_EQ(again->message, request->message) << "bit " << bit;
    }
    follower[bit / 8] = static_cast<char>(follower[bit / 8] ^ mask);
  }
  std::string leader = SampleLeaderBytes();
  for (size_t bit = 0; bit < leader.size() * 8; ++bit) {
    const char mask = static_cast<char>(1 << (bit % 8));
    leader[bit / 8] = static_cast<char>(leader[bit / 8] ^ mask);
    if (const auto response = DecodeLeader(leader); response.ok()) {
      const auto again = DecodeLeader(Again(response->message));
      ASSERT_OK(again.status());
      EXPECT_EQ(again->message, response->message) << "bit " << bit;
    }
    leader[bit / 8] = static_cast<char>(leader[bit / 8] ^ mask);
  }
}

TEST(ReplicationDecoderTest, AnErrorNamesWhatCouldNotBeRead) {
  FollowerMessage message;
  message.positions = {SampleFollowerMessage().positions[0]};
  std::string bytes = Join(EncodeFollowerMessage(message));
  // Tag, size, kind, key, and then the written offset.
  StoreLittle<int64_t>(bytes.data() + 3 + kFrameKeyBytes, -1);
  const absl::Status status = DecodeFollower(bytes).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptMessage);
  EXPECT_THAT(status.message(), HasSubstr("written offset"));
}

TEST(ReplicationDecoderTest, KindsOfTheOtherSideAreRefused) {
  EXPECT_THAT(DecodeFollower(SampleLeaderBytes()).status().message(),
              HasSubstr("kind of a follower's frame"));
  EXPECT_THAT(DecodeLeader(SampleFollowerBytes()).status().message(),
              HasSubstr("kind of a leader's frame"));
}

TEST(ReplicationDecoderTest, ADetachWithoutAReasonIsRefused) {
  FollowerMessage message;
  message.detaches = {SampleFollowerMessage().detaches[0]};
  std::string bytes = Join(EncodeFollowerMessage(message));
  StoreLittle<int32_t>(bytes.data() + 3 + kFrameKeyBytes, 0);
  EXPECT_THAT(DecodeFollower(bytes).status().message(), HasSubstr("reason of a detach"));
}

TEST(ReplicationDecoderTest, ALogStartWithoutItsPositionIsRefused) {
  FollowerMessage message;
  message.positions = {SampleFollowerMessage().positions[1]};
  std::string bytes = Join(EncodeFollowerMessage(message));
  // Tag, size, kind, topic id: another partition's position.
  bytes[3 + 16] ^= 1;
  EXPECT_THAT(DecodeFollower(bytes).status().message(), HasSubstr("without a position"));
}

TEST(ReplicationDecoderTest, CreditIsBounded) {
  FollowerMessage message;
  message.credit_bytes = int64_t{1} << 32;
  EXPECT_THAT(DecodeFollower(Join(EncodeFollowerMessage(message))).status().message(),
              HasSubstr("credit"));
}

TEST(ReplicationDecoderTest, AnotherVersionIsRefusedByName) {
  internal::v1::FollowRequest request;
  ASSERT_TRUE(request.ParseFromString(Join(EncodeFollowerHello(SampleFollowerHello()))));
  request.mutable_hello()->set_version(2);
  EXPECT_EQ(CodeOf(DecodeFollower(request.SerializeAsString()).status()),
            ErrorCode::kUnsupportedVersion);
}

TEST(ReplicationDecoderTest, AHelloThatMakesNoSenseIsRefused) {
  internal::v1::FollowRequest good;
  ASSERT_TRUE(good.ParseFromString(Join(EncodeFollowerHello(SampleFollowerHello()))));
  const auto refused = [&](auto change) {
    internal::v1::FollowRequest request = good;
    change(request.mutable_hello());
    EXPECT_EQ(CodeOf(DecodeFollower(request.SerializeAsString()).status()),
              ErrorCode::kCorruptMessage)
        << request.DebugString();
  };
  refused([](auto* hello) { hello->set_cluster_id("short"); });
  refused([](auto* hello) { hello->set_follower_id(-1); });
  refused([](auto* hello) { hello->set_follower_epoch(-1); });
  refused([](auto* hello) { hello->set_leader_id(-1); });
  refused([](auto* hello) { hello->set_leader_epoch(-1); });
  refused([](auto* hello) { hello->set_leader_shard(-1); });
  refused([](auto* hello) { hello->set_window_bytes(0); });
  EXPECT_EQ(CodeOf(DecodeLeader(Join(EncodeLeaderHello({3, 3}))).status()),
            ErrorCode::kCorruptMessage);
}

TEST(ReplicationDecoderTest, FieldsOfNewerVersionsAreSkipped) {
  std::string bytes = SampleFollowerBytes();
  AppendVarint((9 << 3) | 2, &bytes);
  bytes += std::string("\x03xyz", 4);
  AppendVarint((10 << 3) | 0, &bytes);
  AppendVarint(uint64_t{1} << 63, &bytes);
  AppendVarint((11 << 3) | 1, &bytes);
  bytes += "12345678";
  AppendVarint((12 << 3) | 5, &bytes);
  bytes += "1234";
  // An extension of a kind that is not known.
  AppendVarint(kReplicaExtensionTag, &bytes);
  bytes += std::string("\x03\x63xy", 4);
  ASSERT_OK_AND_ASSIGN(const FollowRequest request, DecodeFollower(bytes));
  EXPECT_EQ(request.message, SampleFollowerMessage());
}

TEST(ReplicationDecoderTest, RandomBytesNeverCrash) {
  sim::SimRandom random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random.Below(120), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    if (bytes.size() > 2) {
      bytes[0] = 0x12;
      bytes[1] = static_cast<char>(bytes.size() - 2);
      bytes[2] = static_cast<char>(1 + random.Below(6));
    }
    (void)DecodeFollower(bytes).ok();
    (void)DecodeLeader(bytes).ok();
  }
}

}  // namespace
}  // namespace millrace::broker
