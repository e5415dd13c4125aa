#include "raft/codec/message_encoder.h"

#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/raft_service.pb.h"
#include "raft/codec/testing/sample_messages.h"

namespace millrace::raft {
namespace {

TEST(RequestWriterTest, AHeartbeatHasTheBytesOfThePage) {
  // docs/formats/raft_messages.md shows these.
  const std::string expected = {
      // Request: field 2, 86 bytes. Frame: version 1, kind 3 (append).
      0x12, 0x56, 0x01, 0x03,
      // From node 1 on a directory; to node 2 on another; term 9.
      0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x12, 0, 0, 0, 0, 0, 0, 0x13, 0x14,  //
      0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x22, 0, 0, 0, 0, 0, 0, 0x23, 0x24,  //
      0x09, 0, 0, 0, 0, 0, 0, 0,
      // After entry 7:76; commit 75; round 5; no entries.
      0x07, 0, 0, 0, 0, 0, 0, 0, 0x4c, 0, 0, 0, 0, 0, 0, 0,  //
      0x4b, 0, 0, 0, 0, 0, 0, 0, 0x05, 0, 0, 0, 0, 0, 0, 0,  //
      0, 0, 0, 0};
  const Message heartbeat =
      MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)}, {}, LogIndex(75), Round(5)});
  EXPECT_EQ(Encode({heartbeat}), expected);
}

TEST(RequestWriterTest, TheRequestIsAMessageOfTheProto) {
  const std::vector<Message> messages = SampleMessages();
  internal::v1::ReplicateRequest request;
  ASSERT_TRUE(request.ParseFromString(Encode(messages)));
  EXPECT_FALSE(request.has_hello());
  ASSERT_EQ(request.messages_size(), static_cast<int>(messages.size()));
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(request.messages(static_cast<int>(i))[0], kFrameVersion);
    EXPECT_EQ(request.messages(static_cast<int>(i))[1], static_cast<char>(i + 1));
  }
}

TEST(RequestWriterTest, LargePayloadsAreSharedAndSmallOnesCopied) {
  const Bytes large = Bytes::FromString(std::string(kSharedPayloadBytesMin, 'l'));
  const Bytes small = Bytes::FromString(std::string(kSharedPayloadBytesMin - 1, 's'));
  const Message append =
      MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)},
                              {Entry{Term(8), LogIndex(77), EntryType::kPayload, large},
                               Entry{Term(8), LogIndex(78), EntryType::kPayload, small},
                               Entry{Term(8), LogIndex(79), EntryType::kPayload, small}},
                              LogIndex(75),
                              Round(5)});
  RequestWriter writer;
  ASSERT_OK(writer.Add(append));
  const size_t bytes = writer.bytes();
  const Pieces pieces = writer.Finish();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].data(), large.data());
  EXPECT_EQ(Join(pieces).size(), bytes);
}

TEST(RequestWriterTest, CountsItsBytesAndIsEmptyAfterFinish) {
  sim::SimRandom random(1);
  RequestWriter writer;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(writer.empty());
    for (uint64_t n = random.Below(5) + 1; n > 0; --n) ASSERT_OK(writer.Add(RandomMessage(random)));
    const size_t bytes = writer.bytes();
    EXPECT_EQ(Join(writer.Finish()).size(), bytes);
  }
}

TEST(RequestWriterTest, IsFullBeforeARequestGetsTooLarge) {
  const Message message =
      MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)},
                              {EntryOf(8, 77, EntryType::kPayload, std::string(1 << 20, 'x'))},
                              LogIndex(75),
                              Round(5)});
  RequestWriter writer;
  while (!writer.full()) ASSERT_OK(writer.Add(message));
  EXPECT_LE(writer.bytes(), kRequestBytesMax);
  EXPECT_LT(writer.bytes(), kRequestBytesFull + (2 << 20));
}

TEST(RequestWriterTest, RefusesAMessageThatIsTooLargeAndStaysAsItWas) {
  const Message large = MessageOf(
      AppendRequest{EntryId{Term(7), LogIndex(76)},
                    {EntryOf(8, 77, EntryType::kPayload, std::string(kMessageBytesMax, 'x'))},
                    LogIndex(75),
                    Round(5)});
  RequestWriter writer;
  ASSERT_OK(writer.Add(MessageOf(TimeoutNow{})));
  const size_t before = writer.bytes();
  EXPECT_EQ(CodeOf(writer.Add(large)), ErrorCode::kMessageTooLarge);
  EXPECT_EQ(writer.bytes(), before);
  EXPECT_EQ(Join(writer.Finish()), Encode({MessageOf(TimeoutNow{})}));
}

TEST(RequestWriterTest, RefusesWhatNoReceiverWouldTake) {
  RequestWriter writer;
  Message gap = MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)},
                                        {EntryOf(8, 79, EntryType::kPayload, "gap")},
                                        LogIndex(75),
                                        Round(5)});
  EXPECT_EQ(CodeOf(writer.Add(gap)), ErrorCode::kCorruptMessage);
  std::vector<Voter> crowd(kVotersMax + 1);
  EXPECT_EQ(CodeOf(writer.Add(MessageOf(SnapshotOffer{{}, VoterSet{{}, crowd}, Round(1)}))),
            ErrorCode::kInvalidRequest);
  EXPECT_TRUE(writer.empty());
}

}  // namespace
}  // namespace millrace::raft
