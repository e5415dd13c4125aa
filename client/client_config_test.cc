#include "base/status_matchers.h"
#include "client/consumer.h"
#include "client/producer.h"

namespace millrace::client {
namespace {

TEST(ClientConfig, DefaultsAreKafkasButForWhatTheDocsSay) {
  ASSERT_OK_AND_ASSIGN(const ProducerConfig producer, ProducerSchema().Parse({}));
  EXPECT_THAT(producer.bootstrap_servers, testing::ElementsAre("localhost:9092"));
  EXPECT_EQ(producer.acks, "all");
  EXPECT_EQ(producer.linger_ms, 0);
  EXPECT_EQ(producer.batch_size, 65536);
  EXPECT_EQ(producer.buffer_memory, 33554432);
  EXPECT_EQ(producer.max_in_flight, 5);
  EXPECT_EQ(producer.delivery_timeout_ms, 120000);
  EXPECT_EQ(producer.retries, 2147483647);
  ASSERT_OK_AND_ASSIGN(const ConsumerConfig consumer, ConsumerSchema().Parse({}));
  EXPECT_EQ(consumer.max_poll_records, 500);
  EXPECT_TRUE(consumer.check_crcs);
}

TEST(ClientConfig, UnknownKeysAndValuesAreNamed) {
  EXPECT_THAT(ProducerSchema().Parse({{"linger.m", "1"}}),
              IsError(ErrorCode::kInvalidConfig, "linger.ms"));
  EXPECT_THAT(ProducerSchema().Parse({{"acks", "some"}}),
              IsError(ErrorCode::kInvalidConfig, "some"));
  EXPECT_THAT(ConsumerSchema().Parse({{"auto.offset.reset", "now"}}),
              HasCode(ErrorCode::kInvalidConfig));
}

}  // namespace
}  // namespace millrace::client
