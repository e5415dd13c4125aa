#include "raft/codec/message_form.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/codec/testing/sample_messages.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;

Message AppendOf(EntryId previous, std::vector<Entry> entries) {
  return MessageOf(AppendRequest{previous, std::move(entries), LogIndex(1), Round(1)});
}

void ExpectMisfit(const Message& message, absl::string_view what) {
  const absl::Status status = CheckForm(message);
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptMessage);
  EXPECT_THAT(status.message(), HasSubstr(std::string(what)));
}

const EntryId kPrevious{Term(7), LogIndex(76)};

TEST(MessageFormTest, EveryKindOfMessagePasses) {
  for (const Message& message : SampleMessages()) EXPECT_OK(CheckForm(message)) << message;
}

TEST(MessageFormTest, DefaultBodiesPass) {
  EXPECT_OK(CheckForm(MessageOf(VoteRequest{})));
  EXPECT_OK(CheckForm(MessageOf(AppendRequest{})));
  EXPECT_OK(CheckForm(MessageOf(AppendResponse{})));
  EXPECT_OK(CheckForm(MessageOf(SnapshotChunk{})));
}

TEST(MessageFormTest, NodesAndTermsAreInRange) {
  Message message = MessageOf(TimeoutNow{});
  message.from.node = kNoNode;
  ExpectMisfit(message, "sender");
  message = MessageOf(TimeoutNow{});
  message.to.node = NodeId(-5);
  ExpectMisfit(message, "receiver");
  message = MessageOf(TimeoutNow{});
  message.term = Term(-1);
  ExpectMisfit(message, "term is -1");
  message.term = Term(kPositionMax + 1);
  ExpectMisfit(message, "term");
}

TEST(MessageFormTest, AnEntryFollowsTheOneBefore) {
  ExpectMisfit(AppendOf(kPrevious, {EntryOf(8, 78, EntryType::kPayload, "")}), "entry's index");
  ExpectMisfit(AppendOf(kPrevious, {EntryOf(8, 77, EntryType::kPayload, ""),
                                    EntryOf(8, 77, EntryType::kPayload, "")}),
               "entry's index is 77");
}

TEST(MessageFormTest, TermsNeverFallAndStayBelowTheSenders) {
  ExpectMisfit(AppendOf(kPrevious, {EntryOf(6, 77, EntryType::kPayload, "")}), "entry's term is 6");
  ExpectMisfit(AppendOf(kPrevious, {EntryOf(8, 77, EntryType::kPayload, ""),
                                    EntryOf(7, 78, EntryType::kPayload, "")}),
               "entry's term is 7");
  ExpectMisfit(AppendOf(kPrevious, {EntryOf(10, 77, EntryType::kPayload, "")}),
               "entry's term is 10");
}

TEST(MessageFormTest, NoEntryBeforeTheFirstHasATerm) {
  ExpectMisfit(AppendOf(EntryId{Term(1), LogIndex(0)}, {}), "before the first");
}

TEST(MessageFormTest, ANoOpIsEmptyAndVotersAreVoters) {
  ExpectMisfit(AppendOf(kPrevious, {EntryOf(8, 77, EntryType::kNoOp, "x")}), "no-op");
  EXPECT_EQ(CodeOf(CheckForm(AppendOf(kPrevious, {EntryOf(8, 77, EntryType::kVoters, "x")}))),
            ErrorCode::kCorruptMessage);
}

TEST(MessageFormTest, AChunkLiesInItsSnapshot) {
  const SnapshotId id{EntryId{Term(1), LogIndex(5)}, 100, 1};
  const Bytes data = Bytes::FromString(std::string(40, 'd'));
  EXPECT_OK(CheckForm(MessageOf(SnapshotChunk{id, 60, 40, data, Round(1)})));
  ExpectMisfit(MessageOf(SnapshotChunk{id, 61, 40, data, Round(1)}), "chunk's end");
  ExpectMisfit(MessageOf(SnapshotChunk{id, UINT64_MAX - 10, 40, data, Round(1)}), "offset");
  ExpectMisfit(MessageOf(SnapshotChunk{id, 0, 41, data, Round(1)}), "not that of its data");
  ExpectMisfit(MessageOf(SnapshotResponse{id, 101, Round(1)}), "received");
}

}  // namespace
}  // namespace millrace::raft
