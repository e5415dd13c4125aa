#include "rpc/channel_pool.h"

#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

TEST(ChannelPool, OneChannelPerPurposeAndAddress) {
  ChannelPool pool{ChannelOptions{}};
  const auto channel = pool.Get("data", "h:1");
  EXPECT_EQ(pool.Get("data", "h:1"), channel);
  EXPECT_NE(pool.Get("heartbeat", "h:1"), channel);
  EXPECT_NE(pool.Get("data", "h:2"), channel);
}

TEST(ChannelPool, DropForgetsOnlyThatAddress) {
  ChannelPool pool{ChannelOptions{}};
  const auto a = pool.Get("data", "h:1");
  const auto b = pool.Get("data", "h:10");
  pool.Drop("h:1");
  EXPECT_NE(pool.Get("data", "h:1"), a);
  EXPECT_EQ(pool.Get("data", "h:10"), b);
}

TEST(ChannelPool, PurposesDoNotShareAConnection) {
  testdata::Watched<testdata::StreamLog> logs[2];
  testdata::EchoServer server;
  auto one = testdata::OpenLogged(&server, "Chat", &logs[0], {}, "data");
  auto two = testdata::OpenLogged(&server, "Chat", &logs[1], {}, "heartbeat");
  for (auto& stream : {one, two}) stream->Write(testdata::EchoText("x"));
  for (auto& log : logs) {
    ASSERT_TRUE(log.Wait([](const testdata::StreamLog& l) { return l.texts.size() == 1; }));
  }
  EXPECT_EQ(server.server().open_connections(), 2);
}

}  // namespace
}  // namespace millrace::rpc
