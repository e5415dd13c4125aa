#include "base/service_link.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace millrace {
namespace {

constexpr std::array<absl::string_view, 3> kProtocols = {"tcp", "udp", "sctp"};

bool IsPort(absl::string_view text) {
  int port = 0;
  return absl::SimpleAtoi(text, &port) && port > 0 && port <= 65535;
}

// A cluster address is never a name. Not worth a parser: what it is told from is a word or a
// number.
bool IsAddress(absl::string_view text) {
  return text.find_first_of(".:") != absl::string_view::npos &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isxdigit(c) || c == '.' || c == ':'; });
}

bool IsProtocol(absl::string_view text) {
  return std::find(kProtocols.begin(), kProtocols.end(), text) != kProtocols.end();
}

// "tcp://10.0.0.1:9092"
bool IsUrl(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits("://", 1));
  return IsProtocol(parts.first) && !parts.second.empty();
}

// `rest` is what follows S_PORT_: "9092_TCP", or that and what of it is meant.
bool IsLinkOfPort(absl::string_view rest, absl::string_view value) {
  const std::vector<absl::string_view> words = absl::StrSplit(rest, '_');
  if (words.size() < 2 || !IsPort(words[0])) return false;
  if (!IsProtocol(absl::AsciiStrToLower(words[1]))) return false;
  if (words.size() == 2) return IsUrl(value);
  if (words.size() > 3) return false;
  if (words[2] == "PROTO") return IsProtocol(value);
  if (words[2] == "PORT") return IsPort(value);
  return words[2] == "ADDR" && IsAddress(value);
}

}  // namespace

bool IsServiceLink(absl::string_view name, absl::string_view value) {
  if (absl::EndsWith(name, "_SERVICE_HOST")) return IsAddress(value);
  if (absl::EndsWith(name, "_SERVICE_PORT") || absl::StrContains(name, "_SERVICE_PORT_")) {
    return IsPort(value);
  }
  if (absl::EndsWith(name, "_PORT") && IsUrl(value)) return true;
  // The Service's own name may have a _PORT_ as well.
  constexpr absl::string_view kPort = "_PORT_";
  for (size_t at = name.find(kPort); at != absl::string_view::npos; at = name.find(kPort, at + 1)) {
    if (IsLinkOfPort(name.substr(at + kPort.size()), value)) return true;
  }
  return false;
}

}  // namespace millrace
