// ClusterForwardChannel: how the brokers of a simulated cluster pass clients' calls on to leaders,
// over ClusterNetwork: what the shipped server does with gRPC
// (broker/service/grpc_forward_channel.h). Every message passes through its real encoder and
// decoder.
//
// Thread: the simulation's one; answers come on the executor of the shard.
#ifndef TEST_SIM_CLUSTER_FORWARD_CHANNEL_H_
#define TEST_SIM_CLUSTER_FORWARD_CHANNEL_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/forward_channel.h"
#include "test/sim/cluster_links.h"

namespace millrace::sim {

// What one process has passed on and what was not answered yet: its own, and gone with it.
class ClusterForwards {
 public:
  class Waiting {
   public:
    virtual ~Waiting() = default;
    virtual void Drop() = 0;
  };

  void Add(const std::shared_ptr<Waiting>& waiting);
  // The process ends; what it has still exists.
  void OnDown();

 private:
  std::vector<std::weak_ptr<Waiting>> all_;
};

class ClusterForwardChannel final : public broker::ForwardChannel {
 public:
  ClusterForwardChannel(ClusterPeers peers, int self, Executor* executor,
                        std::shared_ptr<ClusterForwards> forwards)
      : all_(std::move(peers)), self_(self), executor_(executor), forwards_(std::move(forwards)) {}

  void Produce(const std::string& address, const api::ProduceRequest& request,
               absl::Duration timeout, Done<api::ProduceResponse> done) override;
  Task Fetch(const std::string& address, const api::FetchRequest& request, absl::Duration timeout,
             Done<api::FetchResponse> done) override;
  void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                   absl::Duration timeout, Done<api::ListOffsetsResponse> done) override;
  void DeleteRecords(const std::string& address, const api::DeleteRecordsRequest& request,
                     absl::Duration timeout, Done<api::DeleteRecordsResponse> done) override;
  void OffsetForLeaderEpoch(const std::string& address,
                            const api::OffsetForLeaderEpochRequest& request, absl::Duration timeout,
                            Done<api::OffsetForLeaderEpochResponse> done) override;
  std::unique_ptr<broker::ForwardStream> OpenProduceStream(
      const std::string& address, std::weak_ptr<broker::ForwardSink> sink) override;

 private:
  // `serve` calls the other broker; `read` is run for the answer before it is told. `changes`: the
  // call may have an effect. Returns what ends it early.
  template <class Response>
  Task Pass(const std::string& address, absl::Duration timeout, bool changes,
            std::function<void(broker::Broker&, std::function<void(Response)>)> serve,
            Done<Response> done);
  std::function<SimServer&()> Finder(int host) const;

  const ClusterPeers all_;
  const int self_;
  Executor* const executor_;
  const std::shared_ptr<ClusterForwards> forwards_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_FORWARD_CHANNEL_H_
