#include "base/host_port.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(HostPortTest, AnIpv6AddressHasBrackets) {
  EXPECT_EQ(HostPort("::1", 9092), "[::1]:9092");
  EXPECT_EQ(HostPort("h", 1), "h:1");
  EXPECT_EQ(HostPort("127.0.0.1", 0), "127.0.0.1:0");
}

}  // namespace
}  // namespace millrace
