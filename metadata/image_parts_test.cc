#include "metadata/image_parts.h"

#include <string>
#include <utility>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

void ExpectEveryPartComesBack(const Image& image) {
  const TopicImage& topic = *image.FindTopic("t");
  ImageEditor editor{Image()};
  image.ForEachBroker(
      [&](const BrokerImage& broker) { EXPECT_OK(AddBroker(EncodeBroker(broker), &editor)); });
  ASSERT_OK_AND_ASSIGN(const TopicId id, AddTopic(EncodeTopic(topic), &editor));
  EXPECT_EQ(id, topic.id);
  topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
    const TopicPartition which{topic.id, index};
    auto added = AddPartition(EncodePartition(which, partition), &editor);
    ASSERT_OK(added);
    EXPECT_EQ(*added, which);
  });
  image.ForEachConfig([&](const ConfigOwner& owner, const ConfigValues& values) {
    for (const auto& [key, value] : values) {
      EXPECT_OK(AddConfig(EncodeConfig(owner, key, value), &editor));
    }
  });
  image.completed_requests().ForEachClient([&](RequestClientId client, const RequestClient& known) {
    auto restored = AddRequestClient(EncodeRequestClient(client, known), &editor);
    ASSERT_OK(restored);
    EXPECT_EQ(*restored, client);
    known.requests.ForEach([&](int64_t sequence, const CompletedRequest& request) {
      const RequestKey key{client, sequence};
      auto added = AddCompletedRequest(EncodeCompletedRequest(key, request), &editor);
      ASSERT_OK(added);
      EXPECT_EQ(*added, key);
    });
  });
  editor.SetIndex(image.index());
  editor.SetClusterId(image.cluster_id());
  editor.SetFeatureLevel(image.feature_level());
  editor.SetNextProducerId(image.next_producer_id());
  EXPECT_EQ(std::move(editor).Finish(), image);
}

TEST(ImagePartsTest, EveryPartComesBack) {
  ExpectEveryPartComesBack(TestImageOfLevel2());
  ExpectEveryPartComesBack(TestImageOfLevel3());
  ExpectEveryPartComesBack(TestImageOfLevel4());
}

TEST(ImagePartsTest, BrokersStateOutlivesItsRegistration) {
  BrokerImage broker = *TestImage().FindBroker(NodeId(1));
  broker.state = BrokerState::kShuttingDown;
  broker.was_active = true;
  ImageEditor editor{Image()};
  ASSERT_OK(AddBroker(EncodeBroker(broker), &editor));
  EXPECT_EQ(*editor.FindBroker(NodeId(1)), broker);
}

TEST(ImagePartsTest, WhatCannotBeParsedIsDamage) {
  ImageEditor editor{Image()};
  EXPECT_THAT(AddBroker("\xff\xff", &editor), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(AddTopic("\xff\xff", &editor), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(AddPartition("\xff\xff", &editor), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(AddConfig("\xff\xff", &editor), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(AddRequestClient("\xff\xff", &editor), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(AddCompletedRequest("\xff\xff", &editor), HasCode(ErrorCode::kCorruptLog));
}

TEST(ImagePartsTest, IdsOfAnotherLengthAreDamage) {
  ImageEditor editor{Image()};
  // Messages without any field.
  EXPECT_THAT(AddBroker("", &editor), IsError(ErrorCode::kCorruptLog, "not 16 bytes"));
  EXPECT_THAT(AddTopic("", &editor), IsError(ErrorCode::kCorruptLog, "not 16 bytes"));
  EXPECT_THAT(AddRequestClient("", &editor), IsError(ErrorCode::kCorruptLog, "not 16 bytes"));
  EXPECT_THAT(AddCompletedRequest("", &editor), IsError(ErrorCode::kCorruptLog, "not 16 bytes"));
  EXPECT_THAT(AddPartition("", &editor), IsError(ErrorCode::kCorruptLog, "not 16 bytes"));
  records::PartitionRecord record =
      PartitionRecordOf({TestTopicId(1), PartitionIndex(0)}, TestPartition());
  record.mutable_replicas(1)->set_directory_id("short");
  EXPECT_THAT(AddPartition(record.SerializeAsString(), &editor), HasCode(ErrorCode::kCorruptLog));
}

}  // namespace
}  // namespace millrace::metadata
