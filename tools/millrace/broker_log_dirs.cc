#include "tools/millrace/broker_log_dirs.h"

#include <algorithm>
#include <memory>

#include "base/status.h"

namespace millrace::tools {
namespace {

// One that does not answer holds the whole picture up.
constexpr absl::Duration kAskedDirectlyFor = absl::Seconds(2);

}  // namespace

std::vector<std::string> AddressesOf(const v1::BrokerDescription& broker) {
  std::vector<std::string> addresses;
  for (const std::string& listener : broker.listeners()) {
    const size_t scheme = listener.find("://");
    addresses.push_back(scheme == std::string::npos ? listener : listener.substr(scheme + 3));
  }
  return addresses;
}

absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirsOf(const v1::BrokerDescription& broker,
                                                              const GlobalOptions& global,
                                                              client::Admin* admin) {
  v1::DescribeLogDirsRequest request;
  request.set_broker_id(broker.broker_id());
  absl::StatusOr<v1::DescribeLogDirsResponse> first = admin->DescribeLogDirs(request);
  if (first.ok() || broker.listeners().empty()) return first;
  ASSIGN_OR_RETURN(
      const std::unique_ptr<client::Admin> direct,
      client::Admin::Create(AddressesOf(broker), std::min(global.timeout(), kAskedDirectlyFor)));
  return direct->DescribeLogDirs(request);
}

}  // namespace millrace::tools
