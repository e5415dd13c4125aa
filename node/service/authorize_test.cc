#include "node/service/authorize.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

// Lets alice describe, and nobody do anything else.
class AliceDescribes final : public metadata::Authorizer {
 public:
  bool Allows(const metadata::Principal& principal, metadata::Operation operation,
              const metadata::Resource& resource) const override {
    return principal.name == "User:alice" && operation == metadata::Operation::kDescribe &&
           resource.type == metadata::ResourceType::kCluster;
  }
};

TEST(Authorize, AsksForThePrincipalOfTheCallAndNamesItInARefusal) {
  const AliceDescribes authorizer;
  rpc::CallContext context;
  context.principal.name = "alice";
  EXPECT_OK(AuthorizeOnCluster(authorizer, context, metadata::Operation::kDescribe));
  const absl::Status refused = AuthorizeOnCluster(authorizer, context, metadata::Operation::kAlter);
  EXPECT_THAT(refused, IsError(ErrorCode::kAuthorizationFailed, "User:alice may not"));
  EXPECT_EQ(DetailOf(refused).value, "User:alice");
}

}  // namespace
}  // namespace millrace::node
