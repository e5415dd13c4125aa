#include "rpc/grpc_log.h"

#include <grpc/support/log.h>

#include "base/log.h"
#include "gmock/gmock.h"

namespace millrace::rpc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(GrpcLogTest, WhatGrpcSaysAgainAndAgainIsOneLineOfOurs) {
  // As gRPC does at its first use.
  gpr_log_verbosity_init();
  TakeGrpcLog();
  const LogCapture log;
  for (int i = 0; i < 10; ++i) gpr_log(GPR_ERROR, "Handshake failed: %s", "no certificate");
  gpr_log(GPR_ERROR, "Handshake failed: %s", "expired");
  EXPECT_THAT(log.lines(),
              ElementsAre(AllOf(HasSubstr("WARN grpc message=\"gRPC says\" text=\"Handshake "
                                          "failed: no certificate\" source=grpc_log_test.cc:"),
                                HasSubstr("left_out_before=0")),
                          HasSubstr("text=\"Handshake failed: expired\"")));
}

}  // namespace
}  // namespace millrace::rpc
