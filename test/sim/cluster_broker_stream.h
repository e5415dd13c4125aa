// ClusterBrokerStream: one stream to a broker over the simulated network: what gRPC and
// broker/service make of it between a client, or a broker that passes batches on, and a broker.
// Every message passes through its real encoder and decoder.
//
// Thread: the simulation's one; events come on the network's executor while the opener's process
// lives.
#ifndef TEST_SIM_CLUSTER_BROKER_STREAM_H_
#define TEST_SIM_CLUSTER_BROKER_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "api/fetch.h"
#include "api/produce.h"
#include "base/bytes.h"
#include "broker/fetch_stream.h"
#include "broker/gather.h"
#include "broker/produce_stream.h"
#include "node/testing/sim_server.h"
#include "test/sim/cluster_network.h"

namespace millrace::sim {

// What goes over it, and what the broker has at its end.
struct ProduceProtocol {
  using Request = api::ProduceStreamRequest;
  using Response = api::ProduceStreamResponse;
  using Stream = broker::ProduceStream;
};
struct FetchProtocol {
  using Request = api::FetchStreamRequest;
  using Response = api::FetchStreamResponse;
  using Stream = broker::FetchStream;
};

template <class Protocol>
class ClusterBrokerStream : public std::enable_shared_from_this<ClusterBrokerStream<Protocol>> {
 public:
  using Request = typename Protocol::Request;
  using Response = typename Protocol::Response;
  struct Events {
    std::function<void(Response)> answered;
    // The last one. `has_sent`: something may have come of what was sent.
    std::function<void(bool has_sent)> closed;
  };

  // From host `from` to the broker of `to`, whose machine `find` gives.
  static std::shared_ptr<ClusterBrokerStream> Open(ClusterNetwork* network, int from, int to,
                                                   std::function<SimServer&()> find,
                                                   const broker::Caller& caller, Events events);

  // What is sent before the connection is there waits for it.
  void Send(const Request& request);
  // Hears nothing more. What was sent may arrive.
  void End();

 private:
  struct ServerSide;

  bool TakeIn(SimServer& server, const broker::Caller& caller,
              const ClusterNetwork::ConnectionPtr& connection);
  void OnConnected();
  void SendNow(Bytes message);
  void OnClosed();

  ClusterNetwork::ConnectionPtr connection_;
  Events events_;
  // The server's: alive while its end of the connection is open.
  std::weak_ptr<ServerSide> server_;
  uint64_t shard_ = 0;
  bool connected_ = false;
  bool has_sent_ = false;
  bool ended_ = false;
  std::deque<Bytes> waiting_;
};

using ClusterProduceStream = ClusterBrokerStream<ProduceProtocol>;
using ClusterFetchStream = ClusterBrokerStream<FetchProtocol>;

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_BROKER_STREAM_H_
