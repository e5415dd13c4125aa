#include "client/bootstrap_servers.h"

#include "base/status_matchers.h"

namespace millrace::client {
namespace {

TEST(BootstrapServers, AcceptsNamesAndAddresses) {
  EXPECT_OK(CheckBootstrapServers({"localhost:9092", "10.0.0.1:1", "[::1]:65535"}));
}

TEST(BootstrapServers, RefusesWhatIsNotHostAndPort) {
  for (const char* server : {"", "localhost", ":9092", "localhost:", "localhost:0",
                             "localhost:65536", "localhost:x", "::1:9092", "http://a:1"}) {
    EXPECT_THAT(CheckBootstrapServers({"localhost:9092", server}),
                IsError(ErrorCode::kInvalidConfig, std::string("'") + server + "'"))
        << server;
  }
  EXPECT_THAT(CheckBootstrapServers({}), HasCode(ErrorCode::kInvalidConfig));
}

}  // namespace
}  // namespace millrace::client
