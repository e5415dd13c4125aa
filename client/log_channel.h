// LogChannel: the brokers as producers and consumers see them: streams by broker, a watch on
// topics, and the lookup of offsets. Over gRPC: grpc_log_channel.h; simulated: in test/sim.
//
// It connects and carries; it decides nothing: what is sent when, and what a failure means, is the
// cores' part. Only the watch is kept up by the channel itself.
//
// Thread: the owner's strand, for calls and events both.
#ifndef CLIENT_LOG_CHANNEL_H_
#define CLIENT_LOG_CHANNEL_H_

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/fetch.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "api/produce.h"
#include "api/watch_topics.h"
#include "base/ids.h"

namespace millrace::client {

// What the owner of a channel hears. Never called from within a call to the channel.
class LogChannelEvents {
 public:
  virtual ~LogChannelEvents() = default;

  virtual void OnTopics(const api::WatchTopicsResponse& topics) = 0;
  // No server can be asked for topics now; the channel goes on trying.
  virtual void OnWatchDown(const absl::Status& why) = 0;
  // Follows that of the last of them, where every server there is has refused this client
  // (AUTHORIZATION_FAILED), one after the other.
  virtual void OnWatchRefused(const absl::Status& why) = 0;

  virtual void OnProduceUp(NodeId) {}
  // Follows every OpenProduce, sooner or later: it never came up, or it ended.
  virtual void OnProduceDown(NodeId, const absl::Status&) {}
  virtual void OnProduced(NodeId, const api::ProduceStreamResponse&) {}

  virtual void OnFetchDown(NodeId, const absl::Status&) {}
  virtual void OnFetched(NodeId, api::FetchStreamResponse) {}
};

class LogChannel {
 public:
  using ListOffsetsCallback = absl::AnyInvocable<void(absl::StatusOr<api::ListOffsetsResponse>) &&>;
  using EpochEndsCallback =
      absl::AnyInvocable<void(absl::StatusOr<api::OffsetForLeaderEpochResponse>) &&>;
  using ProducerIdCallback = absl::AnyInvocable<void(absl::StatusOr<api::ProducerIdentity>) &&>;

  virtual ~LogChannel() = default;

  // Replaces the topics watched.
  virtual void Watch(std::vector<std::string> topics) = 0;
  // The server there has not answered for a while, as one does that is stopped: if the topics are
  // watched there, they are watched at another one from now on.
  virtual void Suspect(const std::string& /*address*/) {}
  // Nothing is heard of the topics although there is news: from now on they are watched at another
  // server, if there is one.
  virtual void ChangeWatch() {}

  // REQUIRES: no such stream to `broker` is open or opening.
  virtual void OpenProduce(NodeId broker, const std::string& address) = 0;
  // Dropped if the stream is not up.
  virtual void SendProduce(NodeId broker, const api::ProduceStreamRequest& request) = 0;
  // OnProduceDown follows.
  virtual void CloseProduce(NodeId broker) = 0;

  // Requests may be sent at once. REQUIRES: no such stream to `broker` is open.
  virtual void OpenFetch(NodeId broker, const std::string& address) = 0;
  virtual void SendFetch(NodeId broker, const api::FetchStreamRequest& request) = 0;
  // OnFetchDown follows.
  virtual void CloseFetch(NodeId broker) = 0;

  // `done` runs once, with the answer or why there is none.
  virtual void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                           absl::Duration timeout, ListOffsetsCallback done) = 0;
  virtual void OffsetForLeaderEpoch(const std::string& address,
                                    const api::OffsetForLeaderEpochRequest& request,
                                    absl::Duration timeout, EpochEndsCallback done) = 0;
  virtual void InitProducerId(const std::string& address, const std::string& client_id,
                              absl::Duration timeout, ProducerIdCallback done) = 0;
};

}  // namespace millrace::client

#endif  // CLIENT_LOG_CHANNEL_H_
