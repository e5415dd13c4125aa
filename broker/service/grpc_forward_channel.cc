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

absl::Status LostBeforeItAnswered(const std::string& address) {
  return MakeError(ErrorCode::kOutcomeUnknown,
                   absl::StrCat("passed on to the leader at ", address,
                                ", which was lost before it answered; it may or may not have "
                                "taken effect"));
}

absl::Status OutOfReach(const std::string& address, const absl::Status& why) {
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   absl::StrCat("the leader at ", address, " cannot be reached: ", why.message()),
                   {.name = "leader", .value = address});
}

// What the client is told of a call that got no answer. `changes`: it may have had an effect.
absl::Status NoAnswer(const absl::Status& status, const std::string& address, bool changes) {
  switch (rpc::DeliveryOf(status)) {
    case rpc::Delivery::kAnswered:
      return status;
    case rpc::Delivery::kUnknown:
      if (changes) return LostBeforeItAnswered(address);
      [[fallthrough]];
    case rpc::Delivery::kNotSent:
      break;
  }
  return OutOfReach(address, status);
}

// Between a stream's events and its sink.
class ProduceHandler final : public rpc::ClientStreamHandler {
 public:
  ProduceHandler(std::string address, std::weak_ptr<ForwardSink> sink,
                 std::shared_ptr<rpc::ClientStream> stream, std::shared_ptr<bool> ended)
      : address_(std::move(address)),
        sink_(std::move(sink)),
        stream_(std::move(stream)),
        ended_(std::move(ended)) {}

  void OnMessage(Bytes message) override {
    const std::shared_ptr<ForwardSink> sink = sink_.lock();
    if (*ended_ || sink == nullptr) return;
    absl::StatusOr<api::ProduceStreamResponse> response = api::DecodeProduceStreamResponse(message);
    if (response.ok()) return sink->OnAnswered(*std::move(response));
    // Where one answer cannot be read, those behind it mean nothing either.
    stream_->Cancel();
    *ended_ = true;
    sink->OnClosed(LostBeforeItAnswered(address_));
  }

  void OnDone(absl::Status status) override {
    const std::shared_ptr<ForwardSink> sink = sink_.lock();
    if (std::exchange(*ended_, true) || sink == nullptr) return;
    sink->OnClosed(stream_->has_sent() ? LostBeforeItAnswered(address_)
                                       : OutOfReach(address_, status));
  }

 private:
  const std::string address_;
  const std::weak_ptr<ForwardSink> sink_;
  const std::shared_ptr<rpc::ClientStream> stream_;
  // Shared with the stream's owner, who sets it at the end.
  const std::shared_ptr<bool> ended_;
};

class ProduceStreamThere final : public ForwardStream {
 public:
  ProduceStreamThere(std::shared_ptr<rpc::ClientStream> stream, std::shared_ptr<bool> ended)
      : stream_(std::move(stream)), ended_(std::move(ended)) {}
  ~ProduceStreamThere() override {
    if (!std::exchange(*ended_, true)) stream_->Cancel();
  }
  void Send(const api::ProduceStreamRequest& request) override {
    stream_->Write(api::EncodeProduceStreamRequest(request));
  }

 private:
  const std::shared_ptr<rpc::ClientStream> stream_;
  const std::shared_ptr<bool> ended_;
};

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

Task GrpcForwardChannel::Fetch(const std::string& address, const api::FetchRequest& request,
                               absl::Duration timeout, Done<api::FetchResponse> done) {
  const std::shared_ptr<rpc::ClientCall> call = rpc::StartUnary(
      executor_, channels_->Get(kPurpose, address), Method("Fetch"),
      api::EncodeFetchRequest(request), Options(timeout),
      [address, done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
        if (!answer.ok()) {
          return std::move(done)(NoAnswer(answer.status(), address, /*changes=*/false));
        }
        std::move(done)(api::DecodeFetchResponse(*answer));
      });
  // The call has `done`, which may have what is returned here.
  return [weak = std::weak_ptr(call)] {
    if (const std::shared_ptr<rpc::ClientCall> still = weak.lock()) still->Cancel();
  };
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

std::unique_ptr<ForwardStream> GrpcForwardChannel::OpenProduceStream(
    const std::string& address, std::weak_ptr<ForwardSink> sink) {
  auto ended = std::make_shared<bool>(false);
  std::shared_ptr<rpc::ClientStream> stream = rpc::StartStream(
      executor_, channels_->Get(kPurpose, address), Method("ProduceStream"),
      Options(absl::InfiniteDuration()),
      [address, sink = std::move(sink), ended](std::shared_ptr<rpc::ClientStream> opened) {
        return std::make_unique<ProduceHandler>(address, sink, std::move(opened), ended);
      });
  return std::make_unique<ProduceStreamThere>(std::move(stream), std::move(ended));
}

}  // namespace millrace::broker
