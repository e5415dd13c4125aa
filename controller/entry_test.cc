#include "controller/entry.h"

#include <string>

#include "base/status_matchers.h"
#include "controller/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rsm/entry_codec.h"

namespace millrace::controller {
namespace {

metadata::records::ConfigRecord Config(size_t bytes) {
  metadata::records::ConfigRecord record;
  record.set_value(std::string(bytes, 'x'));
  return record;
}

TEST(EntryTest, S41_PartBeyondTheLimitIsRefusedWhole) {
  Entry entry;
  EXPECT_OK(entry.Add({Config(kDecisionBytesMax / 2)}, "first"));
  EXPECT_THAT(entry.Add({Config(1), Config(kDecisionBytesMax / 2)}, "second"),
              IsError(ErrorCode::kEntryTooLarge, "second"));
  EXPECT_EQ(std::move(entry).Take().size(), 1u);
}

TEST(EntryTest, S41_WhatIsTakenFitsIntoAnEntryOfTheLog) {
  Entry entry;
  Entry::Part part;
  for (int i = 0; i < 100; ++i) part.emplace_back(Config(64));
  while (entry.Add(part, "more").ok()) {
  }
  EXPECT_OK(rsm::EncodeEntry(std::move(entry).Take()));
}

TEST(EntryTest, PartitionThatIsAsItWasNeedsNoRecord) {
  Entry::Part part;
  metadata::PartitionImage partition;
  const TopicPartition id{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  AddPartitionChange(id, partition, partition, &part);
  EXPECT_TRUE(part.empty());
  metadata::PartitionImage after = partition;
  after.leader = NodeId(3);
  AddPartitionChange(id, partition, after, &part);
  EXPECT_EQ(part.size(), 1u);
}

}  // namespace
}  // namespace millrace::controller
