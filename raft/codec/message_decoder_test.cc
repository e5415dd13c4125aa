#include "raft/codec/message_decoder.h"

#include <cstring>
#include <string>
#include <utility>

#include "base/coding.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/raft_service.pb.h"
#include "raft/codec/hello_codec.h"
#include "raft/codec/message_format.h"
#include "raft/codec/testing/sample_messages.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// From version and kind to the term.
constexpr size_t kHeaderBytes = 2 + 2 * 20 + 8;

std::string FrameOf(const Message& message) {
  internal::v1::ReplicateRequest request;
  EXPECT_TRUE(request.ParseFromString(Encode({message})));
  return request.messages(0);
}

absl::Status DecodeFrame(const std::string& frame) {
  return DecodeMessage(Bytes::Copy(frame)).status();
}

TEST(MessageDecoderTest, EveryKindComesBackAsItWas) {
  const std::vector<Message> messages = SampleMessages();
  ASSERT_OK_AND_ASSIGN(const ReplicateRequest request,
                       DecodeReplicateRequest(Bytes::FromString(Encode(messages))));
  EXPECT_FALSE(request.hello.has_value());
  EXPECT_EQ(request.messages, messages);
}

TEST(MessageDecoderTest, RandomMessagesComeBackAsTheyWere) {
  sim::SimRandom random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<Message> messages;
    for (uint64_t n = random.Below(4); n > 0; --n) messages.push_back(RandomMessage(random));
    ASSERT_OK_AND_ASSIGN(const ReplicateRequest request,
                         DecodeReplicateRequest(Bytes::FromString(Encode(messages))));
    ASSERT_EQ(request.messages, messages);
  }
}

TEST(MessageDecoderTest, PayloadsShareTheRequestsMemory) {
  const Bytes bytes = Bytes::FromString(Encode({SampleMessages()[2]}));
  ASSERT_OK_AND_ASSIGN(const ReplicateRequest request, DecodeReplicateRequest(bytes));
  const Bytes& payload = std::get<AppendRequest>(request.messages[0].body).entries[3].payload;
  EXPECT_GE(payload.data(), bytes.data());
  EXPECT_EQ(payload.data() + payload.size(), bytes.data() + bytes.size());
}

TEST(MessageDecoderTest, AFrameCutAnywhereIsRefused) {
  for (const Message& message : SampleMessages()) {
    const std::string frame = FrameOf(message);
    for (size_t size = 0; size < frame.size(); ++size) {
      EXPECT_EQ(CodeOf(DecodeFrame(frame.substr(0, size))), ErrorCode::kCorruptMessage)
          << message << " cut at " << size;
    }
    EXPECT_EQ(CodeOf(DecodeFrame(frame + "x")), ErrorCode::kCorruptMessage) << message;
  }
}

TEST(MessageDecoderTest, ARequestCutAnywhereIsRefusedOrHasFewerMessages) {
  const std::vector<Message> messages = SampleMessages();
  const std::string bytes = Encode(messages);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto request = DecodeReplicateRequest(Bytes::Copy(bytes.substr(0, size)));
    if (!request.ok()) {
      EXPECT_EQ(CodeOf(request.status()), ErrorCode::kCorruptMessage);
      continue;
    }
    // Cut between two of them.
    ASSERT_LT(request->messages.size(), messages.size());
    for (size_t i = 0; i < request->messages.size(); ++i) {
      EXPECT_EQ(request->messages[i], messages[i]);
    }
  }
}

TEST(MessageDecoderTest, EveryFlippedBitIsRefusedOrGivesAMessageOfTheRightForm) {
  for (const Message& message : SampleMessages()) {
    std::string frame = FrameOf(message);
    for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
      const char mask = static_cast<char>(1 << (bit % 8));
      frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ mask);
      const auto decoded = DecodeMessage(Bytes::Copy(frame));
      if (decoded.ok()) {
        // What is let through can be said again, in the same bytes.
        EXPECT_EQ(FrameOf(*decoded), frame) << message << " bit " << bit;
      }
      frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ mask);
    }
  }
}

TEST(MessageDecoderTest, RefusesAnotherVersionByName) {
  std::string frame = FrameOf(MessageOf(TimeoutNow{}));
  frame[0] = 2;
  const absl::Status status = DecodeFrame(frame);
  EXPECT_EQ(CodeOf(status), ErrorCode::kUnsupportedVersion);
  EXPECT_THAT(status.message(), HasSubstr("version 2"));
}

TEST(MessageDecoderTest, RefusesUnknownKinds) {
  std::string frame = FrameOf(MessageOf(TimeoutNow{}));
  for (int kind = 0; kind < 256; ++kind) {
    frame[1] = static_cast<char>(kind);
    EXPECT_EQ(DecodeFrame(frame).ok(), kind == 8) << kind;
  }
}

TEST(MessageDecoderTest, RefusesUnknownTypesOfEntries) {
  const Message append = MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)},
                                                 {EntryOf(8, 77, EntryType::kPayload, "payload")},
                                                 LogIndex(75),
                                                 Round(5)});
  std::string frame = FrameOf(append);
  const size_t type_at = frame.size() - 7 - 4 - 1;
  ASSERT_EQ(frame[type_at], static_cast<char>(EntryType::kPayload));
  for (const int type : {0, 4, 255}) {
    frame[type_at] = static_cast<char>(type);
    EXPECT_EQ(CodeOf(DecodeFrame(frame)), ErrorCode::kCorruptMessage) << type;
  }
}

TEST(MessageDecoderTest, ACountIsNotBelievedBeforeThatMuchIsThere) {
  std::string frame =
      FrameOf(MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)}, {}, LogIndex(75), Round(5)}));
  StoreLittle<uint32_t>(frame.data() + frame.size() - 4, 0xffffffff);
  EXPECT_EQ(CodeOf(DecodeFrame(frame)), ErrorCode::kCorruptMessage);

  std::string chunk = FrameOf(MessageOf(SnapshotChunk{}));
  StoreLittle<uint32_t>(chunk.data() + chunk.size() - 4, 0xffffffff);
  EXPECT_EQ(CodeOf(DecodeFrame(chunk)), ErrorCode::kCorruptMessage);
}

TEST(MessageDecoderTest, IndexesDoNotOverflow) {
  std::string frame = FrameOf(MessageOf(AppendRequest{EntryId{Term(7), LogIndex(76)},
                                                      {EntryOf(8, 77, EntryType::kPayload, "")},
                                                      LogIndex(75),
                                                      Round(5)}));
  for (const int64_t index : {INT64_MAX, INT64_MIN, int64_t{-1}, int64_t{1} << 62}) {
    StoreLittle<int64_t>(frame.data() + kHeaderBytes + 8, index);
    EXPECT_EQ(CodeOf(DecodeFrame(frame)), ErrorCode::kCorruptMessage) << index;
  }
}

TEST(MessageDecoderTest, FieldsOfNewerVersionsAreSkipped) {
  std::string bytes = Encode({MessageOf(TimeoutNow{})});
  AppendVarint((9 << 3) | 2, &bytes);
  bytes += std::string("\x03xyz", 4);
  AppendVarint((10 << 3) | 0, &bytes);
  AppendVarint(uint64_t{1} << 63, &bytes);
  AppendVarint((11 << 3) | 1, &bytes);
  bytes += "12345678";
  AppendVarint((12 << 3) | 5, &bytes);
  bytes += "1234";
  ASSERT_OK_AND_ASSIGN(const ReplicateRequest request, DecodeReplicateRequest(Bytes::Copy(bytes)));
  EXPECT_THAT(request.messages, ElementsAre(MessageOf(TimeoutNow{})));

  AppendVarint((13 << 3) | 3, &bytes);
  EXPECT_EQ(CodeOf(DecodeReplicateRequest(Bytes::Copy(bytes)).status()),
            ErrorCode::kCorruptMessage);
}

TEST(MessageDecoderTest, TheHelloOpensAStream) {
  Hello hello;
  hello.cluster_id = ClusterId(Uuid(1, 2));
  hello.from = {NodeId(1), DirectoryId(Uuid(3, 4))};
  hello.to = NodeId(2);
  ASSERT_OK_AND_ASSIGN(const ReplicateRequest request,
                       DecodeReplicateRequest(Bytes::Copy(EncodeHelloRequest(hello))));
  ASSERT_TRUE(request.hello.has_value());
  EXPECT_EQ(*request.hello, hello);
  EXPECT_TRUE(request.messages.empty());
}

TEST(MessageDecoderTest, RandomBytesNeverCrash) {
  sim::SimRandom random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random.Below(120), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    if (bytes.size() > 2) {
      bytes[0] = static_cast<char>(kFrameVersion);
      bytes[1] = static_cast<char>(1 + random.Below(8));
    }
    (void)DecodeMessage(Bytes::Copy(bytes)).ok();
    (void)DecodeReplicateRequest(Bytes::Copy(bytes)).ok();
  }
}

}  // namespace
}  // namespace millrace::raft
