// ForwardChannel: how a broker passes a client's call on to the broker that leads the partitions. A
// seam: over gRPC (broker/service/grpc_forward_channel.h), and fakes in tests.
//
// A call that was passed on is answered where it arrives and not passed on again (S-40). Nothing is
// retried here. An error of the whole call promises: OUTCOME_UNKNOWN, that it may have taken
// effect; any other, that it has not (S-23).
//
// Thread: one shard's executor, which also runs the callbacks; never inside the call.
#ifndef BROKER_FORWARD_CHANNEL_H_
#define BROKER_FORWARD_CHANNEL_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/delete_records.h"
#include "api/fetch.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "api/produce.h"

namespace millrace::broker {

class ForwardChannel {
 public:
  template <class Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>) &&>;

  virtual ~ForwardChannel() = default;

  // `address`: "host:port" of the other broker. Answers have one result per partition, in order.
  virtual void Produce(const std::string& address, const api::ProduceRequest& request,
                       absl::Duration timeout, Done<api::ProduceResponse> done) = 0;
  virtual void Fetch(const std::string& address, const api::FetchRequest& request,
                     absl::Duration timeout, Done<api::FetchResponse> done) = 0;
  virtual void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                           absl::Duration timeout, Done<api::ListOffsetsResponse> done) = 0;
  virtual void DeleteRecords(const std::string& address, const api::DeleteRecordsRequest& request,
                             absl::Duration timeout, Done<api::DeleteRecordsResponse> done) = 0;
  virtual void OffsetForLeaderEpoch(const std::string& address,
                                    const api::OffsetForLeaderEpochRequest& request,
                                    absl::Duration timeout,
                                    Done<api::OffsetForLeaderEpochResponse> done) = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_FORWARD_CHANNEL_H_
