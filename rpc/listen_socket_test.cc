#include "rpc/listen_socket.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::rpc {
namespace {

TEST(ListenSocket, TellsTheActualPort) {
  ASSERT_OK_AND_ASSIGN(auto sockets, Listen({.name = "A", .host = "127.0.0.1", .port = 0}));
  ASSERT_EQ(sockets.size(), 1u);
  EXPECT_GT(sockets[0].address.port, 0);
}

TEST(ListenSocket, NamesTheAddressInUse) {
  ASSERT_OK_AND_ASSIGN(auto sockets, Listen({.name = "A", .host = "127.0.0.1", .port = 0}));
  const auto second = Listen({.name = "B", .host = "127.0.0.1", .port = sockets[0].address.port});
  EXPECT_THAT(second,
              IsError(ErrorCode::kAddressInUse, HostPort("127.0.0.1", sockets[0].address.port)));
}

TEST(ListenSocket, LocalhostIsOnePortOnAllItsAddresses) {
  ASSERT_OK_AND_ASSIGN(auto sockets, Listen({.name = "A", .host = "localhost", .port = 0}));
  for (const ListenSocket& socket : sockets) {
    EXPECT_EQ(socket.address.port, sockets[0].address.port);
  }
}

TEST(ListenSocket, EmptyHostIsAllAddresses) {
  ASSERT_OK_AND_ASSIGN(auto sockets, Listen({.name = "A", .host = "", .port = 0}));
  EXPECT_EQ(sockets.size(), 1u);
}

TEST(ListenSocket, RefusesWhatIsNotOfThisMachine) {
  EXPECT_THAT(Listen({.name = "A", .host = "192.0.2.1", .port = 0}),
              IsError(ErrorCode::kInvalidConfig, "192.0.2.1:0"));
  EXPECT_THAT(Listen({.name = "A", .host = "no.such.host.invalid", .port = 0}),
              IsError(ErrorCode::kInvalidConfig, "no.such.host.invalid"));
  EXPECT_THAT(Listen({.name = "A", .host = "127.0.0.1", .port = 70000}),
              IsError(ErrorCode::kInvalidConfig, "70000"));
}

}  // namespace
}  // namespace millrace::rpc
