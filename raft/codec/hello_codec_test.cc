#include "raft/codec/hello_codec.h"

#include <functional>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/raft_service.pb.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;

Hello Sample() {
  Hello hello;
  hello.version = 1;
  hello.cluster_id = ClusterId(Uuid(1, 2));
  hello.from = {NodeId(3), DirectoryId(Uuid(3, 4))};
  hello.address = "three.example:9093";
  hello.process = {12, Uuid(5, 6)};
  hello.to = NodeId(2);
  hello.features = {1, 3, "0.2.0"};
  hello.generation = 4;
  hello.asks_to_join = true;
  return hello;
}

TEST(HelloCodecTest, ComesBackAsItWas) {
  ASSERT_OK_AND_ASSIGN(const Hello hello, DecodeHelloResponse(EncodeHelloResponse(Sample())));
  EXPECT_EQ(hello, Sample());
}

TEST(HelloCodecTest, CutAnywhereItIsRefusedAndNeverAnotherSpeaker) {
  const std::string bytes = EncodeHelloResponse(Sample());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeHelloResponse(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(HelloCodecTest, FlippedBitsNeverCrash) {
  std::string bytes = EncodeHelloResponse(Sample());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const char mask = static_cast<char>(1 << (bit % 8));
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
    (void)DecodeHelloResponse(bytes).ok();
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ mask);
  }
}

TEST(HelloCodecTest, EveryFieldIsChecked) {
  const auto refused = [](const std::function<void(internal::v1::Hello&)>& change) {
    internal::v1::ReplicateResponse response;
    EXPECT_TRUE(response.ParseFromString(EncodeHelloResponse(Sample())));
    change(*response.mutable_hello());
    const auto hello = DecodeHelloResponse(response.SerializeAsString());
    EXPECT_EQ(CodeOf(hello.status()), ErrorCode::kCorruptMessage);
    return std::string(hello.status().message());
  };
  EXPECT_THAT(refused([](auto& h) { h.set_node_id(-1); }), HasSubstr("node id"));
  EXPECT_THAT(refused([](auto& h) { h.set_to_node_id(-1); }), HasSubstr("receiver"));
  EXPECT_THAT(refused([](auto& h) { h.set_start_counter(-1); }), HasSubstr("start counter"));
  EXPECT_THAT(refused([](auto& h) { h.clear_cluster_id(); }), HasSubstr("cluster id"));
  EXPECT_THAT(refused([](auto& h) { h.set_cluster_id(std::string(16, '\0')); }),
              HasSubstr("cluster id"));
  EXPECT_THAT(refused([](auto& h) { h.set_directory_id("short"); }), HasSubstr("directory id"));
  EXPECT_THAT(refused([](auto& h) { h.clear_process_nonce(); }), HasSubstr("nonce"));
  EXPECT_THAT(refused([](auto& h) { h.set_address(std::string(513, 'a')); }), HasSubstr("address"));
  EXPECT_THAT(refused([](auto& h) { h.set_feature_level_max(0); }), HasSubstr("feature levels"));
  EXPECT_THAT(refused([](auto& h) { h.set_program_version(std::string(129, 'v')); }),
              HasSubstr("version"));
  EXPECT_THAT(refused([](auto& h) { h.set_quorum_generation(-1); }), HasSubstr("generation"));
}

TEST(HelloCodecTest, AResponseWithoutAHelloIsRefused) {
  EXPECT_EQ(CodeOf(DecodeHelloResponse("").status()), ErrorCode::kCorruptMessage);
}

}  // namespace
}  // namespace millrace::raft
