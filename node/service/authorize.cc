#include "node/service/authorize.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::node {

metadata::Principal PrincipalOf(const rpc::CallContext& context) {
  return {absl::StrCat(context.principal.type, ":", context.principal.name)};
}

absl::Status AuthorizeOnCluster(const metadata::Authorizer& authorizer,
                                const rpc::CallContext& context, metadata::Operation operation) {
  const metadata::Principal principal = PrincipalOf(context);
  if (authorizer.Allows(principal, operation, {.type = metadata::ResourceType::kCluster})) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kAuthorizationFailed,
                   absl::StrCat(principal.name, " may not do this; ask for the permission"),
                   {.name = "principal", .value = principal.name});
}

}  // namespace millrace::node
