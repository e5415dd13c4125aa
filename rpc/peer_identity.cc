#include "rpc/peer_identity.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::rpc {
namespace {

constexpr absl::string_view kScheme = "millrace://";
constexpr absl::string_view kNode = "/node/";

std::string Shown(const CallContext& context) {
  return context.certificate.empty() ? "no certificate"
                                     : absl::StrCat("the certificate of ", context.certificate);
}

absl::Status Refuse(const std::string& message, const std::string& found) {
  return MakeError(ErrorCode::kAuthorizationFailed, message,
                   {.name = "certificate", .value = found});
}

}  // namespace

std::string NodeUriPrefix(absl::string_view cluster) {
  return absl::StrCat(kScheme, cluster, kNode);
}

std::string NodeUri(const NodeIdentity& identity) {
  return absl::StrCat(NodeUriPrefix(identity.cluster), identity.node.value());
}

std::optional<NodeIdentity> ParseNodeUri(absl::string_view uri) {
  if (!absl::StartsWith(uri, kScheme)) return std::nullopt;
  uri.remove_prefix(kScheme.size());
  const size_t node = uri.find(kNode);
  if (node == absl::string_view::npos || node == 0) return std::nullopt;
  const absl::string_view digits = uri.substr(node + kNode.size());
  int32_t id = -1;
  // The one spelling of each number, so that a URI can be compared as text, too.
  if (!absl::SimpleAtoi(digits, &id) || id < 0 || absl::StrCat(id) != digits) return std::nullopt;
  return NodeIdentity{std::string(uri.substr(0, node)), NodeId(id)};
}

absl::Status CallPolicy::Check(const CallContext& context) const {
  const auto listener = listeners.find(context.listener);
  // The connection has ended, and with it all that was known of it.
  if (listener == listeners.end()) {
    if (listeners.empty()) return absl::OkStatus();
    return MakeError(ErrorCode::kCancelled, "the connection of this call has ended");
  }
  const ListenerSecurity& security = listener->second;
  if (!security.tls) return absl::OkStatus();
  if (!context.encrypted) {
    return MakeError(
        ErrorCode::kAuthorizationFailed,
        absl::StrCat("listener ", context.listener, " takes TLS only, and this connection is in ",
                     "plaintext; set security.protocol=SSL, or --tls-ca on the command line"),
        {.name = "security.protocol", .value = "PLAINTEXT"});
  }
  if (security.callers == ListenerSecurity::Callers::kWithCertificate &&
      context.certificate.empty()) {
    return Refuse(absl::StrCat("listener ", context.listener,
                               " needs a certificate, and none was shown; set "
                               "ssl.keystore.location, or --tls-keystore on the command line"),
                  "");
  }
  if (security.callers == ListenerSecurity::Callers::kNodes && context.node == kNoNode) {
    return Refuse(absl::StrCat("listener ", context.listener, " is for the nodes of ",
                               NodeUriPrefix(cluster), ", and ", Shown(context), " was shown"),
                  context.certificate);
  }
  return absl::OkStatus();
}

absl::Status CheckClaim(const CallContext& context, NodeId claimed, absl::string_view what) {
  if (!context.encrypted || context.node == claimed) return absl::OkStatus();
  return Refuse(absl::StrCat(what, " says that it is node ", claimed.value(), " and has shown ",
                             Shown(context), "; give each node its own certificate"),
                context.certificate);
}

}  // namespace millrace::rpc
