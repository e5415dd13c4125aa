// The hand-written codecs against the generated messages, in both directions and on damaged input.
#include <google/protobuf/util/message_differencer.h>

#include <string>

#include "api/codec/fetch_codec.h"
#include "api/codec/plain_records.h"
#include "api/codec/produce_codec.h"
#include "api/codec/random_messages.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::api {
namespace {

using google::protobuf::util::MessageDifferencer;

// Binds a message type to its codec, so that one test body serves all.
template <class ProtoType, auto kDecode, auto kEncode>
struct Codec {
  using Proto = ProtoType;
  static auto Decode(const Bytes& message) { return kDecode(message); }
  template <class T>
  static Bytes Encode(const T& value) {
    return Join(kEncode(value));
  }
};

// Neither the reflection of topic ids in hints nor anything else is lost, except: a hint's topic id
// is its result's.
template <class Proto>
void DropHintIds(Proto* proto) {
  for (auto& partition : *proto->mutable_partitions()) {
    if (!partition.has_leader()) continue;
    partition.mutable_leader()->clear_topic_id();
    if (!partition.topic_id().empty()) {
      partition.mutable_leader()->set_topic_id(partition.topic_id());
    }
  }
}
void Normalise(v1::ProduceResponse* proto) { DropHintIds(proto); }
void Normalise(v1::ProduceStreamResponse* proto) { DropHintIds(proto); }
void Normalise(v1::FetchResponse* proto) { DropHintIds(proto); }
void Normalise(v1::FetchStreamResponse* proto) { DropHintIds(proto); }
// The client sends no request without its body.
void Normalise(v1::ProduceStreamRequest* proto) { proto->mutable_request(); }
// Of a partition to stop only the name counts; but nothing is lost.
template <class Proto>
void Normalise(Proto*) {}

template <class C>
class HotMessagesTest : public ::testing::Test {};

using Codecs = ::testing::Types<
    Codec<v1::ProduceRequest, &DecodeProduceRequest, &EncodeProduceRequest>,
    Codec<v1::ProduceStreamRequest, &DecodeProduceStreamRequest, &EncodeProduceStreamRequest>,
    Codec<v1::ProduceResponse, &DecodeProduceResponse, &EncodeProduceResponse>,
    Codec<v1::ProduceStreamResponse, &DecodeProduceStreamResponse, &EncodeProduceStreamResponse>,
    Codec<v1::FetchRequest, &DecodeFetchRequest, &EncodeFetchRequest>,
    Codec<v1::FetchStreamRequest, &DecodeFetchStreamRequest, &EncodeFetchStreamRequest>,
    Codec<v1::FetchResponse, &DecodeFetchResponse, &EncodeFetchResponse>,
    Codec<v1::FetchStreamResponse, &DecodeFetchStreamResponse, &EncodeFetchStreamResponse>>;
TYPED_TEST_SUITE(HotMessagesTest, Codecs);

TYPED_TEST(HotMessagesTest, AgreesWithTheGeneratedMessageInBothDirections) {
  sim::SimRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    typename TypeParam::Proto proto;
    RandomMessage(random, &proto);
    Normalise(&proto);
    const Bytes wire = Bytes::FromString(proto.SerializeAsString());
    ASSERT_OK_AND_ASSIGN(auto decoded, TypeParam::Decode(wire));
    const Bytes encoded = TypeParam::Encode(decoded);
    typename TypeParam::Proto back;
    ASSERT_TRUE(back.ParseFromString(encoded.ToString()));
    ASSERT_TRUE(MessageDifferencer::Equals(proto, back)) << proto.DebugString() << "----\n"
                                                         << back.DebugString();
    ASSERT_OK_AND_ASSIGN(auto again, TypeParam::Decode(encoded));
    ASSERT_EQ(again, decoded);
  }
}

// What the hand-written decoders leave for later, or demand in addition to the generated ones.
bool RecordsParse(Slice run) {
  PlainRecordReader reader(run);
  record::RecordView record;
  while (reader.Next(&record)) {
  }
  return reader.ok();
}
template <class T>
bool RunsParse(const T& decoded) {
  if constexpr (requires { decoded.request; }) {
    return RunsParse(decoded.request);
  } else if constexpr (requires { decoded.partitions[0].plain_records; }) {
    for (const auto& partition : decoded.partitions) {
      if (!RecordsParse(partition.plain_records)) return false;
    }
  }
  return true;
}
bool HasOddTopicId(const google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    if (field->name() == "topic_id" && reflection->GetString(message, field).size() != 16) {
      return true;
    }
    if (field->cpp_type() != field->CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated() && HasOddTopicId(reflection->GetMessage(message, field))) return true;
    for (int i = 0; field->is_repeated() && i < reflection->FieldSize(message, field); ++i) {
      if (HasOddTopicId(reflection->GetRepeatedMessage(message, field, i))) return true;
    }
  }
  return false;
}

TYPED_TEST(HotMessagesTest, DamagedInputIsRefusedAsTheGeneratedParserRefusesIt) {
  // The generated parser logs every string that is not UTF-8.
  const google::protobuf::LogSilencer silencer;
  sim::SimRandom random(2);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    typename TypeParam::Proto proto;
    RandomMessage(random, &proto);
    std::string wire = proto.SerializeAsString();
    if (wire.empty()) continue;
    for (int flips = 1 + static_cast<int>(random.Next() % 3); flips > 0; --flips) {
      wire[random.Next() % wire.size()] = static_cast<char>(random.Next());
    }
    if (random.Next() % 4 == 0) wire.resize(random.Next() % wire.size());
    // Exactly as much memory as the message has, so that a sanitizer sees one byte too far.
    const auto decoded = TypeParam::Decode(Bytes::Copy(wire));
    typename TypeParam::Proto parsed;
    const bool accepted = parsed.ParseFromString(wire);
    if (decoded.ok()) {
      ASSERT_TRUE(accepted || !RunsParse(*decoded));
      if (!accepted) continue;
      typename TypeParam::Proto back;
      ASSERT_TRUE(back.ParseFromString(TypeParam::Encode(*decoded).ToString()));
    } else {
      ++refused;
      ASSERT_THAT(decoded, HasCode(ErrorCode::kInvalidRequest));
      ASSERT_TRUE(!accepted || HasOddTopicId(parsed)) << parsed.DebugString();
    }
  }
  EXPECT_GT(refused, 1000);
}

TYPED_TEST(HotMessagesTest, EveryTruncationIsSafe) {
  sim::SimRandom random(3);
  typename TypeParam::Proto proto;
  RandomMessage(random, &proto);
  const std::string wire = proto.SerializeAsString();
  for (size_t size = 0; size < wire.size(); ++size) {
    const auto decoded = TypeParam::Decode(Bytes::Copy(Slice(wire).substr(0, size)));
    if (!decoded.ok()) {
      ASSERT_THAT(decoded, HasCode(ErrorCode::kInvalidRequest));
    }
  }
}

TEST(ProduceCodec, BatchesAreSharedNotCopied) {
  const Bytes batch = Bytes::Copy(std::string(100000, 'b'));
  ProduceRequest request;
  request.partitions.resize(2);
  request.partitions[0].name.topic = "a";
  request.partitions[0].batches = batch;
  request.partitions[1].batches = batch.Sub(10, 1000);
  const MessagePieces pieces = EncodeProduceRequest(request);
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces[1].data(), batch.data());
  EXPECT_EQ(pieces[3].data(), batch.data() + 10);
  EXPECT_LT(pieces[0].size() + pieces[2].size(), 40u);

  const Bytes wire = Join(pieces);
  ASSERT_OK_AND_ASSIGN(const ProduceRequest decoded, DecodeProduceRequest(wire));
  EXPECT_EQ(decoded, request);
  EXPECT_GE(decoded.partitions[0].batches.data(), wire.data());
  EXPECT_LE(decoded.partitions[0].batches.data() + 100000, wire.data() + wire.size());
}

TEST(FetchCodec, PiecesOfOnePartitionBecomeOneField) {
  const Bytes memory = Bytes::Copy(std::string(5000, 'c'));
  FetchResponse response;
  response.partitions.resize(1);
  response.partitions[0].batches = {memory.Sub(0, 1000), memory.Sub(1000, 4000)};
  const MessagePieces pieces = EncodeFetchResponse(response);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].data(), memory.data());
  EXPECT_EQ(pieces[2].data(), memory.data() + 1000);
  v1::FetchResponse proto;
  ASSERT_TRUE(proto.ParseFromString(Join(pieces).ToString()));
  EXPECT_EQ(proto.partitions(0).batches(), memory.ToString());
}

TEST(ProduceCodec, ScatteredRecordsAreGathered) {
  // records, partition, records: legal, though no common encoder writes it.
  v1::ProducePartition first;
  first.add_records()->set_value("one");
  v1::ProducePartition second;
  second.set_partition(7);
  v1::ProducePartition third;
  third.add_records()->set_value("two");
  const std::string inner =
      first.SerializeAsString() + second.SerializeAsString() + third.SerializeAsString();
  std::string wire = "\x0a";
  wire.push_back(static_cast<char>(inner.size()));
  wire += inner;
  ASSERT_OK_AND_ASSIGN(const ProduceRequest decoded, DecodeProduceRequest(Bytes::FromString(wire)));
  PlainRecordReader reader(decoded.partitions.at(0).plain_records);
  record::RecordView record;
  ASSERT_TRUE(reader.Next(&record));
  EXPECT_EQ(record.value, Slice("one"));
  ASSERT_TRUE(reader.Next(&record));
  EXPECT_EQ(record.value, Slice("two"));
  EXPECT_FALSE(reader.Next(&record));
  EXPECT_TRUE(reader.ok());
}

}  // namespace
}  // namespace millrace::api
