#include <map>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "node/broker_session_server.h"
#include "node/node.h"
#include "test/sim/cluster_links.h"

namespace millrace::sim {
namespace {

using internal::v1::BrokerSessionRequest;
using internal::v1::BrokerSessionResponse;

// Messages of a session that are on their way down before the controller must wait.
constexpr size_t kUnderWayMax = 4;

absl::Status Unavailable() {
  return MakeError(ErrorCode::kBrokerNotAvailable, "the connection to the controller broke");
}

// ---- The controller's end of a session ----

struct SessionEnd {
  node::BrokerSessionServer* server = nullptr;
  Executor* owner = nullptr;
  ClusterNetwork::ConnectionPtr connection;
  // Told by the server at Open, which runs before anything else.
  node::BrokerSessionServer::StreamId id;
  // The opener's, who is alive where this is called.
  std::function<void(absl::StatusOr<BrokerSessionResponse>)> received;
  bool room_wanted = false;

  void TellSendable(const std::shared_ptr<SessionEnd>& self) {
    owner->Post([self] { self->server->OnSendable(self->id); });
  }
};

class ServedSession final : public node::BrokerSessionStream {
 public:
  explicit ServedSession(std::shared_ptr<SessionEnd> end) : end_(std::move(end)) {}

  void Send(BrokerSessionResponse response) override {
    end_->connection->Send(ClusterConnection::kAcceptor, [end = end_, response] {
      end->received(response);
      if (end->connection->open(ClusterConnection::kAcceptor) &&
          std::exchange(end->room_wanted, false)) {
        end->TellSendable(end);
      }
    });
    if (end_->connection->under_way(ClusterConnection::kAcceptor) < kUnderWayMax) {
      end_->TellSendable(end_);
    } else {
      end_->room_wanted = true;
    }
  }
  void End(const absl::Status& status) override {
    end_->connection->Send(ClusterConnection::kAcceptor,
                           [end = end_, status] { end->received(status); });
    end_->connection->Close(ClusterConnection::kAcceptor);
  }

 private:
  const std::shared_ptr<SessionEnd> end_;
};

// ---- The broker's end ----

// What the stream and what arrives for it share.
struct BrokerEnd {
  node::ControllerLink::Received received;
  bool ended = false;
};

class OpenedSession final : public node::ControllerLink::Stream {
 public:
  OpenedSession(ClusterNetwork::ConnectionPtr connection, std::shared_ptr<BrokerEnd> end,
                std::shared_ptr<SessionEnd> served)
      : connection_(std::move(connection)), end_(std::move(end)), served_(std::move(served)) {}
  ~OpenedSession() override {
    end_->ended = true;
    connection_->Close(ClusterConnection::kOpener);
  }
  void Send(const BrokerSessionRequest& request) override {
    connection_->Send(ClusterConnection::kOpener, [served = served_, request] {
      served->owner->Post([served, request] { served->server->OnRequest(served->id, request); });
    });
  }

 private:
  const ClusterNetwork::ConnectionPtr connection_;
  const std::shared_ptr<BrokerEnd> end_;
  const std::shared_ptr<SessionEnd> served_;
};

// Of a new registration only the log knows the epoch: it is the entry's index.
void SetEpoch(LogIndex index, internal::v1::RegisterBrokerResponse* response) {
  if (response->broker_epoch() == 0) response->set_broker_epoch(index.value());
}
template <class Response>
void SetEpoch(LogIndex, Response*) {}

}  // namespace

std::unique_ptr<node::ControllerLink::Stream> ClusterControllerLink::OpenSession(
    const std::string& address, const BrokerSessionRequest& first, absl::Duration /*connect_max*/,
    Received received) {
  CHECK(owner_->IsCurrent());
  auto end = std::make_shared<BrokerEnd>();
  end->received = std::move(received);
  const auto tell = [end, owner = owner_](absl::StatusOr<BrokerSessionResponse> response) {
    owner->Post([end, response = std::move(response)]() mutable {
      if (end->ended) return;
      end->ended = !response.ok();
      end->received(std::move(response));
    });
  };
  auto served = std::make_shared<SessionEnd>();
  served->received = tell;
  const int host = HostOf(address);
  const auto accept = [all = all_, host, served](const ClusterNetwork::ConnectionPtr& connection) {
    SimServer& server = *all.find(host)->server;
    served->server = &server.node().sessions();
    served->owner = &server.controller();
    served->connection = connection;
    served->owner->Post(
        [served] { served->id = served->server->Open(std::make_unique<ServedSession>(served)); });
    connection->SetOnClosed(ClusterConnection::kAcceptor, [served] {
      served->owner->Post([served] { served->server->OnClosed(served->id); });
    });
    return true;
  };
  CHECK(all_.find(host) != nullptr) << address;
  auto connection = all_.network->Connect(self_, host, accept, [tell] { tell(Unavailable()); });
  auto stream = std::make_unique<OpenedSession>(connection, end, served);
  stream->Send(first);
  return stream;
}

template <class Request, class Response>
void ClusterControllerLink::Ask(const std::string& address, const Request& request,
                                absl::Duration timeout, Done<Response> done) {
  CHECK(owner_->IsCurrent());
  // Whoever comes first answers: the controller, the network or the clock.
  auto once = std::make_shared<Done<Response>>(std::move(done));
  const auto answer = [once, owner = owner_](absl::StatusOr<Response> response) {
    owner->Post([once, response = std::move(response)]() mutable {
      if (Done<Response> done = std::exchange(*once, nullptr); done != nullptr) {
        std::move(done)(std::move(response));
      }
    });
  };
  const int host = HostOf(address);
  CHECK(all_.find(host) != nullptr) << address;
  auto connection = all_.network->Connect(
      self_, host, [](const ClusterNetwork::ConnectionPtr&) { return true; },
      [answer] { answer(Unavailable()); });
  connection->Send(ClusterConnection::kOpener, [all = all_, host, request, connection, answer] {
    all.find(host)->server->node().Submit(
        request, [connection, answer](absl::StatusOr<Response> response, LogIndex index) {
          if (response.ok()) SetEpoch(index, &*response);
          connection->Send(ClusterConnection::kAcceptor, [connection, answer, response] {
            answer(response);
            connection->Close(ClusterConnection::kOpener);
          });
        });
  });
  all_.network->After(timeout, [network = all_.network, self = self_,
                                life = all_.network->life(self_), connection, answer] {
    if (!network->up(self) || network->life(self) != life) return;
    if (connection->open(ClusterConnection::kOpener)) {
      answer(MakeError(ErrorCode::kRequestTimedOut, "the controller did not answer in time"));
    }
    connection->Close(ClusterConnection::kOpener);
  });
}

void ClusterControllerLink::RegisterBroker(const std::string& address,
                                           const internal::v1::RegisterBrokerRequest& request,
                                           absl::Duration timeout,
                                           Done<internal::v1::RegisterBrokerResponse> done) {
  Ask(address, request, timeout, std::move(done));
}

void ClusterControllerLink::AlterPartition(const std::string& address,
                                           const internal::v1::AlterPartitionRequest& request,
                                           absl::Duration timeout,
                                           Done<internal::v1::AlterPartitionResponse> done) {
  Ask(address, request, timeout, std::move(done));
}

void ClusterControllerLink::ReportLastCopies(const std::string& address,
                                             const internal::v1::ReportLastCopiesRequest& request,
                                             absl::Duration timeout,
                                             Done<internal::v1::ReportLastCopiesResponse> done) {
  Ask(address, request, timeout, std::move(done));
}

void ClusterControllerLink::AssignReplicasToDirs(
    const std::string& address, const internal::v1::AssignReplicasToDirsRequest& request,
    absl::Duration timeout, Done<internal::v1::AssignReplicasToDirsResponse> done) {
  Ask(address, request, timeout, std::move(done));
}

void ClusterControllerLink::AllocateProducerIds(
    const std::string& address, const internal::v1::AllocateProducerIdsRequest& request,
    absl::Duration timeout, Done<internal::v1::AllocateProducerIdsResponse> done) {
  Ask(address, request, timeout, std::move(done));
}

}  // namespace millrace::sim
