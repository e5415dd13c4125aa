#include "api/codec/produce_intake.h"

#include <string>
#include <vector>

#include "api/codec/partition_fields.h"
#include "api/codec/produce_codec.h"
#include "api/codec/testing/hot_message_suite.h"

namespace millrace::api {
namespace {

// `message` cut at random places, each piece in memory of exactly its size.
std::vector<Bytes> Cut(Slice message) {
  sim::SimRandom random(message.size());
  std::vector<Bytes> pieces;
  while (!message.empty()) {
    const size_t most = random.Next() % 3 == 0 ? 4 : message.size();
    const size_t size = std::min<size_t>(random.Next() % (most + 1), message.size());
    pieces.push_back(Bytes::Copy(message.substr(0, size)));
    message.remove_prefix(size);
  }
  return pieces;
}

std::vector<Slice> Views(const std::vector<Bytes>& pieces) {
  return std::vector<Slice>(pieces.begin(), pieces.end());
}

absl::StatusOr<ProduceRequest> TakeInCut(const Bytes& message) {
  Reservation none;
  return TakeInProduceRequest(Views(Cut(message)), &none);
}
absl::StatusOr<ProduceStreamRequest> TakeInStreamCut(const Bytes& message) {
  Reservation none;
  return TakeInProduceStreamRequest(Views(Cut(message)), &none);
}

using IntakeMessages = ::testing::Types<
    Codec<v1::ProduceRequest, &TakeInCut, &EncodeProduceRequest>,
    Codec<v1::ProduceStreamRequest, &TakeInStreamCut, &EncodeProduceStreamRequest>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Intake, HotMessagesTest, IntakeMessages);

// Of two bytes each on the wire.
TEST(ProduceIntake, MorePartitionsThanAMessageMayNameAreRefused) {
  ProduceRequest request;
  request.partitions.resize(kMessagePartitionsMax);
  EXPECT_TRUE(TakeInCut(Join(EncodeProduceRequest(request))).ok());
  request.partitions.resize(kMessagePartitionsMax + 1);
  const absl::Status refused = TakeInCut(Join(EncodeProduceRequest(request))).status();
  EXPECT_EQ(CodeOf(refused), ErrorCode::kInvalidRequest);
  EXPECT_NE(refused.message().find("100000 partitions at most"), std::string::npos) << refused;
}

TEST(ProduceIntake, ReadsInPiecesWhatIsReadInOne) {
  const google::protobuf::LogSilencer silencer;
  sim::SimRandom random(5);
  int accepted = 0;
  for (int i = 0; i < 5000; ++i) {
    v1::ProduceRequest proto;
    RandomMessage(random, &proto);
    std::string wire = proto.SerializeAsString();
    if (i % 2 == 1 && !wire.empty()) {
      wire[random.Next() % wire.size()] = static_cast<char>(random.Next());
    }
    const Bytes whole = Bytes::FromString(wire);
    const auto flat = DecodeProduceRequest(whole);
    const auto scattered = TakeInCut(whole);
    ASSERT_EQ(flat.ok(), scattered.ok());
    if (!flat.ok()) continue;
    ++accepted;
    ASSERT_EQ(*flat, *scattered);
  }
  EXPECT_GT(accepted, 2500);
}

TEST(ProduceIntake, EachPartitionGetsMemoryAndReservationOfItsOwn) {
  MemoryBudget budget(1 << 20);
  v1::ProduceRequest proto;
  for (const size_t size : {70000, 10, 300}) {
    proto.add_partitions()->set_batches(std::string(size, 'b'));
  }
  const std::string wire = proto.SerializeAsString();
  const std::vector<Slice> pieces = {Slice(wire).substr(0, 40000), Slice(),
                                     Slice(wire).substr(40000)};
  Reservation reservation = budget.ReserveAlways(static_cast<int64_t>(wire.size()));
  ASSERT_OK_AND_ASSIGN(ProduceRequest request, TakeInProduceRequest(pieces, &reservation));
  EXPECT_EQ(reservation.bytes(), static_cast<int64_t>(wire.size()) - 70310);
  reservation.Release();
  EXPECT_EQ(budget.used_bytes(), 70310);
  // Nobody shares it: it may be stamped in place.
  std::optional<Buffer> first = Buffer::Reclaim(&request.partitions[0].batches);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->size(), 70000u);
  request.partitions.clear();
  EXPECT_EQ(budget.used_bytes(), 70000);
  first.reset();
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(ProduceIntake, WhatIsOverwrittenIsNotCopied) {
  MemoryBudget budget(1 << 20);
  v1::ProducePartition first;
  first.set_batches(std::string(1000, 'a'));
  v1::ProducePartition second;
  second.set_batches(std::string(500, 'b'));
  v1::ProduceRequest outer;
  std::string wire = "\x0a";
  const std::string inner = first.SerializeAsString() + second.SerializeAsString();
  wire.push_back(static_cast<char>((inner.size() & 0x7f) | 0x80));
  wire.push_back(static_cast<char>(inner.size() >> 7));
  wire += inner;
  const Slice piece = wire;
  Reservation reservation = budget.ReserveAlways(static_cast<int64_t>(wire.size()));
  ASSERT_OK_AND_ASSIGN(const ProduceRequest request,
                       TakeInProduceRequest({&piece, 1}, &reservation));
  reservation.Release();
  EXPECT_EQ(request.partitions.at(0).batches.slice(), std::string(500, 'b'));
  EXPECT_EQ(budget.used_bytes(), 500);
}

}  // namespace
}  // namespace millrace::api
