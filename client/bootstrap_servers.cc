#include "client/bootstrap_servers.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace millrace::client {
namespace {

absl::Status Malformed(absl::string_view server, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("bootstrap server '", server, "' ", why,
                                ": write host:port, as in localhost:9092"),
                   {.name = "bootstrap.servers", .value = std::string(server)});
}

absl::Status CheckServer(absl::string_view server) {
  const size_t colon = server.rfind(':');
  if (colon == absl::string_view::npos) return Malformed(server, "has no port");
  const absl::string_view host = server.substr(0, colon);
  if (host.empty()) return Malformed(server, "has no host");
  // An IPv6 address has colons of its own, so its port can only be told behind brackets.
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (!bracketed && host.find_first_of(":/[] ") != absl::string_view::npos) {
    return Malformed(server, "has a malformed host");
  }
  int port = 0;
  if (!absl::SimpleAtoi(server.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return Malformed(server, "has no port from 1 to 65535");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBootstrapServers(const std::vector<std::string>& servers) {
  if (servers.empty()) return Malformed("", "is empty");
  for (const std::string& server : servers) RETURN_IF_ERROR(CheckServer(server));
  return absl::OkStatus();
}

}  // namespace millrace::client
