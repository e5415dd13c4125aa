#include "rpc/refusal_log.h"

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "base/status.h"
#include "gmock/gmock.h"

namespace millrace::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class RefusalLogTest : public ::testing::Test {
 protected:
  void Refuse(const std::string& peer, const std::string& why) {
    refusals_.Refused({.peer = peer}, MakeError(ErrorCode::kAuthorizationFailed, why));
  }

  sim::SimClock clock_;
  RefusalLog refusals_{&clock_, "node", "refused a session"};
  LogCapture log_;
};

TEST_F(RefusalLogTest, WhoTriesAgainIsSaidOnceInTheIntervalWithHowOften) {
  for (int i = 0; i < 50; ++i) {
    Refuse(absl::StrCat("ipv4:10.0.0.1:", 40000 + i), "no certificate");
    clock_.Advance(absl::Milliseconds(100));
  }
  clock_.Advance(absl::Seconds(5));
  Refuse("ipv4:10.0.0.1:50000", "no certificate");
  EXPECT_THAT(log_.lines(),
              ElementsAre("WARN node message=\"refused a session\" address=ipv4:10.0.0.1 "
                          "reason=\"no certificate\" left_out_before=0",
                          "WARN node message=\"refused a session\" address=ipv4:10.0.0.1 "
                          "reason=\"no certificate\" left_out_before=49"));
}

TEST_F(RefusalLogTest, AnotherAddressOrReasonIsNews) {
  Refuse("ipv4:10.0.0.1:1", "a");
  Refuse("ipv4:10.0.0.2:1", "a");
  Refuse("ipv4:10.0.0.2:2", "b");
  Refuse("ipv6:%5B::1%5D:3", "b");
  Refuse("ipv6:%5B::1%5D:4", "b");
  EXPECT_THAT(log_.lines(), SizeIs(4));
}

}  // namespace
}  // namespace millrace::rpc
