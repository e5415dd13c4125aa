#include "client/client_security.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rpc/tls.h"

namespace millrace::client {

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ClientSecurity& security) {
  if (security.protocol == "PLAINTEXT") return std::shared_ptr<grpc::ChannelCredentials>();
  if (security.protocol != "SSL") {
    return MakeError(
        ErrorCode::kInvalidConfig,
        absl::StrCat("security.protocol: '", security.protocol, "' is neither PLAINTEXT nor SSL"),
        {.name = "security.protocol", .value = security.protocol});
  }
  ASSIGN_OR_RETURN(
      const std::shared_ptr<const rpc::Tls> tls,
      rpc::Tls::Create({.keystore = security.keystore, .truststore = security.truststore}));
  return tls->ForServersByName();
}

}  // namespace millrace::client
