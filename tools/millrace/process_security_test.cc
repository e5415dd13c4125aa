#include "tools/millrace/process_security.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::tools {
namespace {

using rpc::ListenerSecurity;

TEST(ProcessSecurityTest, WithoutTlsEverythingIsPlaintext) {
  ASSERT_OK_AND_ASSIGN(const node::NodeConfig config, node::ParseNodeConfig({}, "d"));
  ASSERT_OK_AND_ASSIGN(const ProcessSecurity security, ProcessSecurity::Create(config));
  EXPECT_EQ(security.ToController(), nullptr);
  EXPECT_EQ(security.ToBroker(), nullptr);
  rpc::ServerOptions options;
  security.AddListeners(config.listeners, /*nodes_only=*/false, &options);
  ASSERT_EQ(options.listeners.size(), 1u);
  EXPECT_EQ(options.tls, nullptr);
  EXPECT_FALSE(options.listeners[0].security.tls);
}

TEST(ProcessSecurityTest, FilesThatAreNotThereAreNamedBeforeAnythingStarts) {
  ASSERT_OK_AND_ASSIGN(const node::NodeConfig config,
                       node::ParseNodeConfig({{"listeners", "SSL://localhost:0"},
                                              {"ssl.keystore.location", "/no/such/node.pem"}},
                                             "d"));
  EXPECT_THAT(ProcessSecurity::Create(config).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.keystore.location: '/no/such/node.pem'"));
}

}  // namespace
}  // namespace millrace::tools
