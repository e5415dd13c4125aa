// GrpcLogChannel: the LogChannel over gRPC: ProduceStream and FetchStream per broker, and one
// WatchTopics stream to any server that answers.
//
// A produce stream counts as up once the broker has answered a health check on the same connection:
// so a batch is only entrusted to a broker that is there, and one that cannot be reached costs no
// attempt. Bootstrap servers, and the brokers learned of, are tried in turn for the watch. Where
// only bootstrap servers can be reached, batches go to one of them, which passes them on to the
// leaders.
//
// Thread: its executor's, except construction; destroyed after the executor has shut down.
#ifndef CLIENT_GRPC_LOG_CHANNEL_H_
#define CLIENT_GRPC_LOG_CHANNEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/log_channel.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::client {

class GrpcLogChannel final : public LogChannel {
 public:
  struct Options {
    std::vector<std::string> bootstrap_servers;
    // Between two tries of the watch; doubles up to the maximum once all servers were tried.
    absl::Duration backoff_min = absl::Milliseconds(50);
    absl::Duration backoff_max = absl::Seconds(1);
    // How long a server may take until its first push, before another one is asked: it may be cut
    // off from the cluster, and behind what this client has seen.
    absl::Duration first_push_timeout = absl::Seconds(5);
    // Of the health check before a produce stream.
    absl::Duration connect_timeout = absl::Seconds(10);
    // A server that is stopped ends no connection, and one from which nothing is expected is not
    // missed: so a silent one is asked whether it lives. Not more often than servers allow.
    absl::Duration keepalive_time = absl::Seconds(5);
    absl::Duration keepalive_timeout = absl::Seconds(3);
    // Produce streams go to a bootstrap server, each as long as that one answers, whoever leads.
    bool produce_through_bootstrap = false;
    // What connections are made with; null: plaintext.
    std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  };

  // `executor` and `events` outlive the channel.
  GrpcLogChannel(Options options, rpc::CompletionQueueExecutor* executor, LogChannelEvents* events);
  ~GrpcLogChannel() override;

  void Watch(std::vector<std::string> topics) override;
  void Suspect(const std::string& address) override;
  void ChangeWatch() override;
  void OpenProduce(NodeId broker, const std::string& address) override;
  void SendProduce(NodeId broker, const api::ProduceStreamRequest& request) override;
  void CloseProduce(NodeId broker) override;
  void OpenFetch(NodeId broker, const std::string& address) override;
  void SendFetch(NodeId broker, const api::FetchStreamRequest& request) override;
  void CloseFetch(NodeId broker) override;
  void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                   absl::Duration timeout, ListOffsetsCallback done) override;
  void OffsetForLeaderEpoch(const std::string& address,
                            const api::OffsetForLeaderEpochRequest& request, absl::Duration timeout,
                            EpochEndsCallback done) override;
  void InitProducerId(const std::string& address, const std::string& client_id,
                      absl::Duration timeout, ProducerIdCallback done) override;

 private:
  class ProduceHandler;
  class FetchHandler;
  class WatchHandler;

  void StartProduce(NodeId broker, const std::string& address);
  // Where what is meant for the broker at `address` is produced.
  const std::string& ProduceAt(const std::string& address) const;
  void NoteProduceLost(const std::string& address);
  void StartWatch();
  // The watch numbered `number` has ended; one that was replaced is nobody's loss.
  void WatchEnded(uint64_t number, const absl::Status& why);
  void WatchPushed(uint64_t number, const api::WatchTopicsResponse& push);
  // Of each purpose a connection of its own.
  std::shared_ptr<grpc::Channel> ChannelTo(absl::string_view purpose, const std::string& address) {
    return channels_.GetGrowing(purpose, address, executor_->clock().Now());
  }
  std::shared_ptr<rpc::ClientStream> Start(absl::string_view purpose, const std::string& address,
                                           const char* method,
                                           rpc::ClientStreamHandlerFactory make_handler);

  const Options options_;
  rpc::CompletionQueueExecutor* const executor_;
  LogChannelEvents* const events_;
  rpc::ChannelPool channels_;
  std::map<NodeId, std::shared_ptr<rpc::ClientStream>> produce_;
  std::map<NodeId, std::shared_ptr<rpc::ClientStream>> fetch_;

  std::vector<std::string> topics_;
  // The newest that a push has told (S-40).
  LogIndex metadata_index_{0};
  // Which bootstrap server passes batches on, if one does.
  size_t produce_server_ = 0;
  // Bootstrap servers first, then the brokers learned of.
  std::vector<std::string> servers_;
  size_t server_ = 0;
  // Servers that failed since the latest push.
  size_t failures_ = 0;
  // Of these, the latest that refused this client, with none in between that did not.
  size_t refusals_ = 0;
  // Whether the present watch has been pushed to.
  bool pushed_ = false;
  std::shared_ptr<rpc::ClientStream> watch_;
  // Which watch is the present one; raised to make those before, and their timers, void.
  uint64_t watch_number_ = 0;
};

}  // namespace millrace::client

#endif  // CLIENT_GRPC_LOG_CHANNEL_H_
