#include "broker/storage_replica_log.h"

#include <string>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

// Through a broker that has been started again: nothing is in memory, so that reads and lookups by
// time go to the disk.
TEST(StorageReplicaLogTest, ReadsFromDiskWhatWasWrittenBeforeARestart) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(f.Produce("t", MakeBatch(2, 500, 1'767'225'600'000 + i)).outcome.ok());
  }
  ASSERT_OK(f.Shutdown());
  f.Crash();
  f.Start(50);
  f.Elect(0, 2);
  const api::FetchResponse fetched = f.Fetch(BrokerFixture::FetchOf("t", 0));
  ASSERT_TRUE(fetched.partitions[0].outcome.ok()) << fetched.partitions[0].outcome.message;
  EXPECT_EQ(api::TotalBytes(fetched.partitions[0].batches), 10 * MakeBatch(2, 500).size());
  EXPECT_EQ(f.Fetch(BrokerFixture::FetchOf("t", 13)).partitions[0].high_watermark, Offset(20));
}

// kill -9 in the middle: what was acknowledged is there, whatever else is.
TEST(StorageReplicaLogTest, WhatWasAcknowledgedSurvivesACrashOfTheProcess) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(f.Produce("t", MakeBatch(1, 100)).outcome.ok());
  f.Crash();
  f.Start(50);
  EXPECT_FALSE(f.found[0].state.clean);
  f.Elect(0, 2);
  const api::FetchResponse fetched = f.Fetch(BrokerFixture::FetchOf("t", 0));
  EXPECT_EQ(api::TotalBytes(fetched.partitions[0].batches), 5 * MakeBatch(1, 100).size());
}

}  // namespace
}  // namespace millrace::broker
