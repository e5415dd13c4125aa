#include "tools/millrace/broker_log_dirs.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace millrace::tools {
namespace {

// One that does not answer holds the whole picture up.
constexpr absl::Duration kAskedDirectlyFor = absl::Seconds(2);
// A broker that opens a partition is asked again after this.
constexpr absl::Duration kPause = absl::Milliseconds(200);

}  // namespace

std::vector<std::string> AddressesOf(const v1::BrokerDescription& broker) {
  std::vector<std::string> addresses;
  for (const std::string& listener : broker.listeners()) {
    const size_t scheme = listener.find("://");
    addresses.push_back(scheme == std::string::npos ? listener : listener.substr(scheme + 3));
  }
  return addresses;
}

absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirsOf(
    const v1::BrokerDescription& broker, const GlobalOptions& global, client::Admin* admin,
    const std::vector<std::string>& topics) {
  v1::DescribeLogDirsRequest request;
  request.set_broker_id(broker.broker_id());
  request.mutable_topics()->Add(topics.begin(), topics.end());
  absl::StatusOr<v1::DescribeLogDirsResponse> first = admin->DescribeLogDirs(request);
  if (first.ok() || broker.listeners().empty()) return first;
  ASSIGN_OR_RETURN(
      const std::unique_ptr<client::Admin> direct,
      client::Admin::Create(AddressesOf(broker), std::min(global.timeout(), kAskedDirectlyFor),
                            global.security()));
  return direct->DescribeLogDirs(request);
}

ReplicaAsker::ReplicaAsker(const v1::DescribeClusterResponse& cluster, const GlobalOptions& global)
    : global_(global) {
  for (const v1::BrokerDescription& broker : cluster.brokers()) {
    addresses_[broker.broker_id()] = AddressesOf(broker);
  }
}

absl::StatusOr<v1::ChecksumReplicaResponse> ReplicaAsker::Ask(
    int32_t broker, const v1::ChecksumReplicaRequest& request) {
  std::unique_ptr<client::Admin>& admin = admins_[broker];
  if (admin == nullptr) {
    const std::vector<std::string>& addresses = addresses_[broker];
    if (addresses.empty()) {
      return MakeError(ErrorCode::kBrokerNotAvailable,
                       absl::StrCat("broker ", broker, " is not registered"));
    }
    ASSIGN_OR_RETURN(admin,
                     client::Admin::Create(addresses, global_.timeout(), global_.security()));
  }
  const absl::Time deadline = absl::Now() + global_.timeout();
  while (true) {
    auto response = admin->ChecksumReplica(request);
    const bool opening = response.ok() && response->code() == v1::ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    if (!opening || absl::Now() >= deadline) return response;
    absl::SleepFor(kPause);
  }
}

}  // namespace millrace::tools
