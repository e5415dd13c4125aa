#include "metadata/image_editor.h"

#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

TEST(ImageEditorTest, ChangesOfOneTopicAreSeenBeforeFinishAndKeptByIt) {
  const Image before = TestImage();
  ImageEditor editor(before);
  const TopicPartition id{TestTopicId(1), PartitionIndex(0)};
  PartitionImage changed = TestPartition();
  changed.leader = NodeId(2);
  editor.SetPartition(id, changed);
  EXPECT_EQ(editor.FindPartition(id)->leader, NodeId(2));
  const Image after = std::move(editor).Finish();
  EXPECT_EQ(after.FindPartition(id)->leader, NodeId(2));
  EXPECT_EQ(before.FindPartition(id)->leader, NodeId(1));
}

TEST(ImageEditorTest, TopicMadeAndRemovedLeavesNothing) {
  ImageEditor editor{Image()};
  editor.AddTopic(TestTopicId(5), "x");
  editor.SetPartition({TestTopicId(5), PartitionIndex(0)}, TestPartition());
  editor.RemoveTopic(TestTopicId(5));
  EXPECT_EQ(std::move(editor).Finish(), Image());
}

TEST(ImageEditorTest, PartitionOfAnUnknownTopicIsDropped) {
  ImageEditor editor{Image()};
  editor.SetPartition({TestTopicId(5), PartitionIndex(0)}, TestPartition());
  EXPECT_EQ(editor.FindPartition({TestTopicId(5), PartitionIndex(0)}), nullptr);
  EXPECT_EQ(std::move(editor).Finish(), Image());
}

}  // namespace
}  // namespace millrace::metadata
