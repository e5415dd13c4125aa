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

// Streams of batches stay open as long as the clients' do: on a connection of their own, no call is
// ever behind them.
constexpr char kCalls[] = "forward";
constexpr char kStreams[] = "forward-produce";

constexpr char kService[] = "/millrace.v1.LogService/";

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

absl::Status TooManyOpen(const std::string& address, int open, absl::string_view what) {
  return MakeError(ErrorCode::kResourceExhausted,
                   absl::StrCat(open, " ", what, " are open to the leader at ", address,
                                ", as many as may be: try again, or go to the leader"),
                   {.name = "leader", .value = address});
}

// One of the calls of a connection for as long as it lives.
class OpenCall {
 public:
  explicit OpenCall(std::shared_ptr<int> count) : count_(std::move(count)) { ++*count_; }
  OpenCall(OpenCall&&) = default;
  OpenCall& operator=(OpenCall&&) = delete;
  ~OpenCall() { Close(); }
  void Close() {
    if (count_ != nullptr) --*std::exchange(count_, nullptr);
  }

 private:
  // Null: it has ended.
  std::shared_ptr<int> count_;
};

template <class Proto, class Response>
ForwardChannel::Done<Bytes> Parsed(ForwardChannel::Done<Response> done) {
  return [done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
    if (!answer.ok()) return std::move(done)(answer.status());
    const absl::StatusOr<Proto> proto = rpc::ParseMessage<Proto>(*answer);
    if (!proto.ok()) return std::move(done)(proto.status());
    std::move(done)(api::FromProto(*proto));
  };
}

// Between a stream's events and its sink.
class ProduceHandler final : public rpc::ClientStreamHandler {
 public:
  ProduceHandler(std::string address, std::weak_ptr<ForwardSink> sink,
                 std::shared_ptr<rpc::ClientStream> stream, std::shared_ptr<bool> ended,
                 OpenCall open)
      : address_(std::move(address)),
        sink_(std::move(sink)),
        stream_(std::move(stream)),
        ended_(std::move(ended)),
        open_(std::move(open)) {}

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
  const OpenCall open_;
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

// A stream that was refused: its sink hears so, unless this goes first.
class RefusedStream final : public ForwardStream {
 public:
  explicit RefusedStream(std::shared_ptr<bool> ended) : ended_(std::move(ended)) {}
  ~RefusedStream() override { *ended_ = true; }
  void Send(const api::ProduceStreamRequest&) override {}

 private:
  const std::shared_ptr<bool> ended_;
};

}  // namespace

std::shared_ptr<int> GrpcForwardChannel::OpenCount(const std::string& purpose,
                                                   const std::string& address) {
  std::shared_ptr<int>& count = open_[{purpose, address}];
  if (count == nullptr) count = std::make_shared<int>(0);
  return count;
}

std::weak_ptr<rpc::ClientCall> GrpcForwardChannel::Start(const std::string& address,
                                                         absl::string_view method,
                                                         const rpc::BytesList& request,
                                                         absl::Duration timeout, Kind kind,
                                                         Done<Bytes> done) {
  const std::shared_ptr<int> open = OpenCount(kCalls, address);
  if (*open >= (kind == Kind::kFetch ? limits_.fetches_max : limits_.calls_max)) {
    executor_->Post([status = TooManyOpen(address, *open, "calls"),
                     done = std::move(done)]() mutable { std::move(done)(std::move(status)); });
    return {};
  }
  return rpc::StartUnary(executor_, ChannelTo(kCalls, address), absl::StrCat(kService, method),
                         request, Options(timeout),
                         [open = OpenCall(open), address, changes = kind == Kind::kChange,
                          done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
                           open.Close();
                           if (!answer.ok())
                             return std::move(done)(NoAnswer(answer.status(), address, changes));
                           std::move(done)(std::move(answer));
                         });
}

void GrpcForwardChannel::Produce(const std::string& address, const api::ProduceRequest& request,
                                 absl::Duration timeout, Done<api::ProduceResponse> done) {
  Start(address, "Produce", api::EncodeProduceRequest(request), timeout, Kind::kChange,
        [done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
          if (!answer.ok()) return std::move(done)(answer.status());
          std::move(done)(api::DecodeProduceResponse(*answer));
        });
}

Task GrpcForwardChannel::Fetch(const std::string& address, const api::FetchRequest& request,
                               absl::Duration timeout, Done<api::FetchResponse> done) {
  // Weak: the call has `done`, which may have what is returned here.
  return [weak = Start(address, "Fetch", api::EncodeFetchRequest(request), timeout, Kind::kFetch,
                       [done = std::move(done)](absl::StatusOr<Bytes> answer) mutable {
                         if (!answer.ok()) return std::move(done)(answer.status());
                         std::move(done)(api::DecodeFetchResponse(*answer));
                       })] {
    if (const std::shared_ptr<rpc::ClientCall> call = weak.lock()) call->Cancel();
  };
}

void GrpcForwardChannel::ListOffsets(const std::string& address,
                                     const api::ListOffsetsRequest& request, absl::Duration timeout,
                                     Done<api::ListOffsetsResponse> done) {
  Start(address, "ListOffsets", rpc::SerializeMessage(api::ToProto(request)), timeout,
        Kind::kQuestion, Parsed<v1::ListOffsetsResponse>(std::move(done)));
}

void GrpcForwardChannel::OffsetForLeaderEpoch(const std::string& address,
                                              const api::OffsetForLeaderEpochRequest& request,
                                              absl::Duration timeout,
                                              Done<api::OffsetForLeaderEpochResponse> done) {
  Start(address, "OffsetForLeaderEpoch", rpc::SerializeMessage(api::ToProto(request)), timeout,
        Kind::kQuestion, Parsed<v1::OffsetForLeaderEpochResponse>(std::move(done)));
}

void GrpcForwardChannel::DeleteRecords(const std::string& address,
                                       const api::DeleteRecordsRequest& request,
                                       absl::Duration timeout,
                                       Done<api::DeleteRecordsResponse> done) {
  Start(address, "DeleteRecords", rpc::SerializeMessage(api::ToProto(request)), timeout,
        Kind::kChange, Parsed<v1::DeleteRecordsResponse>(std::move(done)));
}

std::unique_ptr<ForwardStream> GrpcForwardChannel::OpenProduceStream(
    const std::string& address, std::weak_ptr<ForwardSink> sink) {
  auto ended = std::make_shared<bool>(false);
  const std::shared_ptr<int> open = OpenCount(kStreams, address);
  if (*open >= limits_.streams_max) {
    executor_->Post(
        [ended, sink = std::move(sink), status = TooManyOpen(address, *open, "streams")] {
          const std::shared_ptr<ForwardSink> to = sink.lock();
          if (!*ended && to != nullptr) to->OnClosed(status);
        });
    return std::make_unique<RefusedStream>(std::move(ended));
  }
  std::shared_ptr<rpc::ClientStream> stream = rpc::StartStream(
      executor_, ChannelTo(kStreams, address), absl::StrCat(kService, "ProduceStream"),
      Options(absl::InfiniteDuration()),
      [address, sink = std::move(sink), ended, open](std::shared_ptr<rpc::ClientStream> opened) {
        return std::make_unique<ProduceHandler>(address, sink, std::move(opened), ended,
                                                OpenCall(open));
      });
  return std::make_unique<ProduceStreamThere>(std::move(stream), std::move(ended));
}

}  // namespace millrace::broker
