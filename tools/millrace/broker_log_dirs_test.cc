#include "tools/millrace/broker_log_dirs.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;

TEST(BrokerLogDirsTest, AddressesAreThoseOfTheListeners) {
  v1::BrokerDescription broker;
  broker.add_listeners("PLAINTEXT://one:9092");
  broker.add_listeners("TLS://one:9093");
  EXPECT_THAT(AddressesOf(broker), ElementsAre("one:9092", "one:9093"));
}

TEST(BrokerLogDirsTest, ABrokerThatTheFirstCannotAnswerForIsAskedItself) {
  FakeAdminServer theirs;
  theirs.describe_log_dirs.response.set_broker_id(7);
  v1::BrokerDescription broker;
  broker.set_broker_id(7);
  broker.add_listeners(absl::StrCat("PLAINTEXT://", theirs.address()));
  GlobalOptions global;
  global.timeout_s = 5;
  std::string nobody;
  {
    FakeAdminServer gone;
    nobody = gone.address();
  }
  global.bootstrap = nobody;
  ASSERT_OK_AND_ASSIGN(const auto admin, ConnectAdmin(global));
  ASSERT_OK_AND_ASSIGN(const auto answer, DescribeLogDirsOf(broker, global, admin.get()));
  EXPECT_EQ(answer.broker_id(), 7);
  EXPECT_EQ(theirs.describe_log_dirs.request.broker_id(), 7);
}

}  // namespace
}  // namespace millrace::tools
