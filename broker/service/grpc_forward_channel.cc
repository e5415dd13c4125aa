#include "broker/service/grpc_forward_channel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/codec/delete_records_codec.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/list_offsets_codec.h"
#include "api/codec/offset_for_leader_epoch_codec.h"
#include "api/codec/produce_codec.h"
#include "base/status.h"
#include "rpc/client_call.h"

namespace millrace::broker {
namespace {

constexpr char kPurpose[] = "forward";

std::string Method(absl::string_view name) {
  return absl::StrCat("/millrace.v1.LogService/", name);
}

rpc::ClientCallOptions Options(absl::Duration timeout) {
  return {.timeout = timeout, .forwarded = true};
}

// What the client is told of a call that got no answer. `changes`: it may have had an effect.
absl::Status NoAnswer(const absl::Status& status, const std::string& address, bool changes) {
  switch (rpc::DeliveryOf(status)) {
    case rpc::Delivery::kAnswered:
      return status;
    case rpc::Delivery::kUnknown:
      if (changes) {
        return MakeError(ErrorCode::kOutcomeUnknown,
                         absl::StrCat("passed on to the leader at ", address,
                                      ", which was lost before it answered; it may or may not have "
                                      "taken effect"));
      }
      [[fallthrough]];
    case rpc::Delivery::kNotSent:
      break;
  }
  return MakeError(
      ErrorCode::kBrokerNotAvailable,
      absl::StrCat("the leader at ", address, " cannot be reached: ", status.message()),
      {.name = "leader", .value = address});
}

}  // namespace

void GrpcForwardChannel::Produce(const std::string& address, const api::ProduceRequest& request,
                                 absl::Duration timeout, Done<api::ProduceResponse> done) {
  rpc::StartUnary(executor_, channels_->Get(kPurpose, address), Method("Produce"),
                  api::EncodeProduceRequest(request), Options(timeout),
                  [address, done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
                    if (!answer.ok()) {
                      return std::move(done)(NoAnswer(answer.status(), address, /*changes=*/true));
                    }
                    std::move(done)(api::DecodeProduceResponse(*answer));
                  });
}

void GrpcForwardChannel::Fetch(const std::string& address, const api::FetchRequest& request,
                               absl::Duration timeout, Done<api::FetchResponse> done) {
  rpc::StartUnary(executor_, channels_->Get(kPurpose, address), Method("Fetch"),
                  api::EncodeFetchRequest(request), Options(timeout),
                  [address, done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
                    if (!answer.ok()) {
                      return std::move(done)(NoAnswer(answer.status(), address, /*changes=*/false));
                    }
                    std::move(done)(api::DecodeFetchResponse(*answer));
                  });
}

void GrpcForwardChannel::ListOffsets(const std::string& address,
                                     const api::ListOffsetsRequest& request, absl::Duration timeout,
                                     Done<api::ListOffsetsResponse> done) {
  rpc::StartUnaryTyped<v1::ListOffsetsResponse>(
      executor_, channels_->Get(kPurpose, address), Method("ListOffsets"), api::ToProto(request),
      Options(timeout),
      [address, done = std::move(done)](absl::StatusOr<v1::ListOffsetsResponse> answer) mutable {
        if (!answer.ok()) {
          return std::move(done)(NoAnswer(answer.status(), address, /*changes=*/false));
        }
        std::move(done)(api::FromProto(*answer));
      });
}

void GrpcForwardChannel::OffsetForLeaderEpoch(const std::string& address,
                                              const api::OffsetForLeaderEpochRequest& request,
                                              absl::Duration timeout,
                                              Done<api::OffsetForLeaderEpochResponse> done) {
  rpc::StartUnaryTyped<v1::OffsetForLeaderEpochResponse>(
      executor_, channels_->Get(kPurpose, address), Method("OffsetForLeaderEpoch"),
      api::ToProto(request), Options(timeout),
      [address,
       done = std::move(done)](absl::StatusOr<v1::OffsetForLeaderEpochResponse> answer) mutable {
        if (!answer.ok()) {
          return std::move(done)(NoAnswer(answer.status(), address, /*changes=*/false));
        }
        std::move(done)(api::FromProto(*answer));
      });
}

void GrpcForwardChannel::DeleteRecords(const std::string& address,
                                       const api::DeleteRecordsRequest& request,
                                       absl::Duration timeout,
                                       Done<api::DeleteRecordsResponse> done) {
  rpc::StartUnaryTyped<v1::DeleteRecordsResponse>(
      executor_, channels_->Get(kPurpose, address), Method("DeleteRecords"), api::ToProto(request),
      Options(timeout),
      [address, done = std::move(done)](absl::StatusOr<v1::DeleteRecordsResponse> answer) mutable {
        if (!answer.ok()) {
          return std::move(done)(NoAnswer(answer.status(), address, /*changes=*/true));
        }
        std::move(done)(api::FromProto(*answer));
      });
}

}  // namespace millrace::broker
