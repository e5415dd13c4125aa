#include "broker/codec/replication_encoder.h"

#include <string>

#include "absl/strings/escaping.h"
#include "broker/codec/replication_format.h"
#include "broker/codec/testing/sample_replication.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/replica_service.pb.h"

namespace millrace::broker {
namespace {

TEST(ReplicationEncoderTest, ThePageOfTheFormatIsTrue) {
  // docs/formats/replication_messages.md.
  FollowerMessage message;
  message.positions = {SampleFollowerMessage().positions[0]};
  EXPECT_EQ(absl::BytesToHexString(Join(EncodeFollowerMessage(message))),
            "1231"
            "02"
            "11121314151617182122232425262728"
            "00000000"
            "06000000"
            "0a00000000000000"
            "8200000000000000"
            "7d00000000000000");
  message.positions[0].log_start = Offset(9);
  EXPECT_EQ(absl::BytesToHexString(Join(EncodeFollowerMessage(message))).substr(2 * 51),
            "2229"
            "07"
            "11121314151617182122232425262728"
            "00000000"
            "06000000"
            "0a00000000000000"
            "0900000000000000");
  LeaderMessage push;
  push.pushes.push_back(SamplePush({Bytes::FromString("batch")}));
  EXPECT_EQ(absl::BytesToHexString(Join(EncodeLeaderMessage(push))),
            "123e"
            "06"
            "11121314151617182122232425262728"
            "03000000"
            "06000000"
            "0b00000000000000"
            "8200000000000000"
            "7d00000000000000"
            "0700000000000000"
            "6261746368");
  LeaderMessage question;
  question.asks = true;
  EXPECT_EQ(absl::BytesToHexString(Join(EncodeLeaderMessage(question))), "1801");
}

TEST(ReplicationEncoderTest, LargeBatchesAreSharedAndSmallOnesCopied) {
  const Bytes large = Bytes::FromString(std::string(5000, 'x'));
  const Bytes small = Bytes::FromString(std::string(50, 'y'));
  LeaderMessage message;
  message.pushes.push_back(SamplePush({large}));
  message.pushes.push_back(SamplePush({small}));
  const MessagePieces pieces = EncodeLeaderMessage(message);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[1].data(), large.data());
  EXPECT_EQ(pieces[1].size(), large.size());
}

TEST(ReplicationEncoderTest, MessagesAreWhatTheProtoSays) {
  internal::v1::FollowRequest request;
  ASSERT_TRUE(request.ParseFromString(Join(EncodeFollowerMessage(SampleFollowerMessage()))));
  EXPECT_FALSE(request.has_hello());
  EXPECT_EQ(request.messages_size(), 5);
  EXPECT_EQ(request.extensions_size(), 1);
  EXPECT_TRUE(request.confirms());
  internal::v1::FollowResponse response;
  ASSERT_TRUE(response.ParseFromString(Join(EncodeLeaderMessage(SampleLeaderMessage()))));
  EXPECT_EQ(response.messages_size(), 8);
  EXPECT_TRUE(response.asks());
}

TEST(ReplicationEncoderTest, LongReasonsAreCut) {
  FollowerMessage message;
  message.detaches = {SampleFollowerMessage().detaches[0]};
  message.detaches[0].status = MakeError(ErrorCode::kStorageError, std::string(10000, 'r'));
  internal::v1::FollowRequest request;
  ASSERT_TRUE(request.ParseFromString(Join(EncodeFollowerMessage(message))));
  EXPECT_EQ(request.messages(0).size(), 1 + kFrameKeyBytes + 4 + 2 + kReasonBytesMax);
}

TEST(ReplicationEncoderTest, AnEmptyMessageHasNoBytes) {
  EXPECT_TRUE(EncodeLeaderMessage({}).empty());
  EXPECT_TRUE(EncodeFollowerMessage({}).empty());
}

}  // namespace
}  // namespace millrace::broker
