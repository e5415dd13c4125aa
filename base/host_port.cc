#include "base/host_port.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace millrace {

std::string HostPort(absl::string_view host, int port) {
  // Only such an address holds colons.
  if (absl::StrContains(host, ":")) return absl::StrCat("[", host, "]:", port);
  return absl::StrCat(host, ":", port);
}

}  // namespace millrace
