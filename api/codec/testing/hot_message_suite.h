// The hand-written codecs against the generated messages, in both directions and on damaged input:
// a suite of typed tests that each codec's test instantiates for its messages.
//
// Thread: tests only.
#ifndef API_CODEC_TESTING_HOT_MESSAGE_SUITE_H_
#define API_CODEC_TESTING_HOT_MESSAGE_SUITE_H_

#include <google/protobuf/util/message_differencer.h>

#include <string>
#include <vector>

#include "api/codec/plain_records.h"
#include "api/codec/testing/random_messages.h"
#include "api/codec/wire_writer.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::api {

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
inline void Normalise(v1::ProduceResponse* proto) { DropHintIds(proto); }
inline void Normalise(v1::ProduceStreamResponse* proto) { DropHintIds(proto); }
inline void Normalise(v1::FetchResponse* proto) { DropHintIds(proto); }
inline void Normalise(v1::FetchStreamResponse* proto) { DropHintIds(proto); }
// The client sends no request without its body.
inline void Normalise(v1::ProduceStreamRequest* proto) { proto->mutable_request(); }
// Of a partition to stop only the name counts; but nothing is lost.
template <class Proto>
inline void Normalise(Proto*) {}

template <class C>
class HotMessagesTest : public ::testing::Test {};

TYPED_TEST_SUITE_P(HotMessagesTest);

TYPED_TEST_P(HotMessagesTest, AgreesWithTheGeneratedMessageInBothDirections) {
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
inline bool RecordsParse(Slice run) {
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
inline bool HasOddTopicId(const google::protobuf::Message& message) {
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

TYPED_TEST_P(HotMessagesTest, DamagedInputIsRefusedAsTheGeneratedParserRefusesIt) {
  // The generated parser logs every string that is not UTF-8.
  const google::protobuf::LogSilencer silencer;
  sim::SimRandom random(2);
  int refused = 0;
  int stricter = 0;
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
      if (!accepted || HasOddTopicId(parsed)) continue;
      // A topic id of another length that a later one of the same message overwrites: refused here.
      ++stricter;
      ASSERT_OK(TypeParam::Decode(Bytes::FromString(parsed.SerializeAsString())));
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_LE(stricter, 3);
}

TYPED_TEST_P(HotMessagesTest, EveryTruncationIsSafe) {
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

REGISTER_TYPED_TEST_SUITE_P(HotMessagesTest, AgreesWithTheGeneratedMessageInBothDirections,
                            DamagedInputIsRefusedAsTheGeneratedParserRefusesIt,
                            EveryTruncationIsSafe);

}  // namespace millrace::api

#endif  // API_CODEC_TESTING_HOT_MESSAGE_SUITE_H_
