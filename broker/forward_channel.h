// ForwardChannel: how a broker passes a client's call on to the broker that leads the partitions. A
// seam: over gRPC (broker/service/grpc_forward_channel.h), and fakes in tests.
//
// A call that was passed on is answered where it arrives and not passed on again (S-40). Nothing is
// retried here. An error of the whole call promises: OUTCOME_UNKNOWN, that it may have taken
// effect; any other, that it has not (S-23).
//
// Thread: one shard's executor, which also runs the callbacks and sinks; never inside the call.
#ifndef BROKER_FORWARD_CHANNEL_H_
#define BROKER_FORWARD_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/delete_records.h"
#include "api/fetch.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "api/produce.h"
#include "base/executor.h"

namespace millrace::broker {

// What hears of one stream of produced batches.
class ForwardSink {
 public:
  virtual ~ForwardSink() = default;

  virtual void OnAnswered(api::ProduceStreamResponse response) = 0;
  // The last call. The error is that of all that was sent and is not answered, and promises what
  // that of a whole call does.
  virtual void OnClosed(const absl::Status& why) = 0;
};

// Batches that arrive in the order sent. Destroying it ends the stream: what was sent may arrive
// all the same, and the sink hears nothing more.
class ForwardStream {
 public:
  virtual ~ForwardStream() = default;

  virtual void Send(const api::ProduceStreamRequest& request) = 0;
};

class ForwardChannel {
 public:
  template <class Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>) &&>;

  virtual ~ForwardChannel() = default;

  // `address`: "host:port" of the other broker. Answers have one result per partition, in order.
  virtual void Produce(const std::string& address, const api::ProduceRequest& request,
                       absl::Duration timeout, Done<api::ProduceResponse> done) = 0;
  // Returns what ends it early there too, for who wants no answer any more; `done` may be told an
  // error then. It may be dropped, and may outlive the call, of which it keeps nothing.
  virtual Task Fetch(const std::string& address, const api::FetchRequest& request,
                     absl::Duration timeout, Done<api::FetchResponse> done) = 0;
  virtual void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                           absl::Duration timeout, Done<api::ListOffsetsResponse> done) = 0;
  virtual void DeleteRecords(const std::string& address, const api::DeleteRecordsRequest& request,
                             absl::Duration timeout, Done<api::DeleteRecordsResponse> done) = 0;
  virtual void OffsetForLeaderEpoch(const std::string& address,
                                    const api::OffsetForLeaderEpochRequest& request,
                                    absl::Duration timeout,
                                    Done<api::OffsetForLeaderEpochResponse> done) = 0;

  // Batches may be sent at once. A sink that is gone is not called.
  virtual std::unique_ptr<ForwardStream> OpenProduceStream(const std::string& address,
                                                           std::weak_ptr<ForwardSink> sink) = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_FORWARD_CHANNEL_H_
