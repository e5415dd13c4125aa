#include <utility>

#include "base/status.h"
#include "broker/broker.h"
#include "node/node.h"
#include "test/sim/cluster_links.h"

namespace millrace::sim {

void ClusterRepairChannel::ReadRange(const std::string& address, const broker::RangeQuery& query,
                                     absl::Duration timeout, Executor* executor,
                                     broker::RangeDone done) {
  // The first answer counts; what is told to a process that is gone is told to nobody.
  const auto waiting = std::make_shared<broker::RangeDone>(std::move(done));
  const auto tell = [executor, waiting](absl::StatusOr<Bytes> batches) {
    if (*waiting == nullptr) return;
    executor->Post([done = std::exchange(*waiting, nullptr), batches]() mutable {
      std::move(done)(std::move(batches));
    });
  };
  const auto find = [all = all_, host = HostOf(address)]() -> SimServer& {
    return *all.find(host)->server;
  };
  const ClusterNetwork::ConnectionPtr connection = all_.network->Connect(
      self_, HostOf(address),
      [find](const ClusterNetwork::ConnectionPtr&) { return find().serving(); },
      [tell] { tell(MakeError(ErrorCode::kBrokerNotAvailable, "the connection broke")); });
  connection->Send(ClusterConnection::kOpener, [find, connection, query, tell] {
    if (!find().serving()) return connection->Close(ClusterConnection::kAcceptor);
    find().node().broker().replica_intake().read_range(
        query, [connection, tell](absl::StatusOr<Bytes> batches) {
          // In memory of the network's own.
          if (batches.ok()) batches = Bytes::Copy(batches->slice());
          connection->Send(ClusterConnection::kAcceptor, [connection, tell, batches] {
            tell(batches);
            connection->Close(ClusterConnection::kOpener);
          });
        });
  });
  all_.network->After(timeout, [connection, tell] {
    if (!connection->open(ClusterConnection::kOpener)) return;
    tell(MakeError(ErrorCode::kRequestTimedOut, "no answer in time"));
    connection->Close(ClusterConnection::kOpener);
  });
}

}  // namespace millrace::sim
