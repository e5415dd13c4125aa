#include "broker/service/log_streams.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/produce_intake.h"
#include "api/codec/watch_topics_codec.h"
#include "base/status.h"
#include "broker/fetch_stream.h"
#include "broker/produce_stream.h"
#include "broker/service/plain_form.h"
#include "broker/topic_watch.h"
#include "millrace/v1/log_service.pb.h"
#include "rpc/message.h"

namespace millrace::broker {
namespace {

// Whether a stream is read from.
class Reading {
 public:
  explicit Reading(rpc::ServerStream* stream) : stream_(stream) {}
  void Allow(bool allowed) {
    if (paused_ != allowed) return;
    paused_ = !allowed;
    if (allowed) {
      stream_->ResumeReading();
    } else {
      stream_->PauseReading();
    }
  }

 private:
  rpc::ServerStream* const stream_;
  bool paused_ = false;
};

// A pipelined produce. It ends when the client has half-closed (or the server drains) and every
// batch has been answered.
class ProduceHandler final : public rpc::StreamHandler {
 public:
  ProduceHandler(Broker* broker, std::shared_ptr<rpc::ServerStream> stream)
      : broker_(broker),
        stream_(std::move(stream)),
        produce_(broker->OpenProduceStream(
            CallerOf(stream_->context()),
            [this](const api::ProduceStreamResponse& response) { Answer(response); })) {}

  // Taken in piece by piece instead.
  void OnMessage(Bytes) override {}
  void TakeIn(rpc::ReceivedMessage message) override {
    request_ = api::TakeInProduceStreamRequest(message.pieces(), message.reservation());
  }
  void OnTakenIn() override {
    absl::StatusOr<api::ProduceStreamRequest> request =
        std::exchange(request_, api::ProduceStreamRequest());
    // Where one message cannot be read, the order of those behind it means nothing either.
    if (!request.ok()) return stream_->Finish(request.status());
    const absl::Status packed = PackPlain(&request->request, broker_->WallNow());
    if (!packed.ok()) return stream_->Finish(packed);
    produce_->Handle(*std::move(request));
    ReadIfAllowed();
  }

  void OnHalfClose() override {
    ending_ = true;
    end_status_ = absl::OkStatus();
    FinishIfAnswered();
  }

  bool OnDrain() override {
    if (produce_->outstanding() == 0) return true;
    ending_ = true;
    end_status_ = MakeError(ErrorCode::kShuttingDown, "the server is shutting down; connect again");
    return false;
  }

  void OnWritable() override { ReadIfAllowed(); }

  void OnDone(bool /*cancelled*/) override { produce_.reset(); }

 private:
  void Answer(const api::ProduceStreamResponse& response) {
    stream_->Write(api::EncodeProduceStreamResponse(response));
    ReadIfAllowed();
    FinishIfAnswered();
  }

  // A client that does not read its answers is not read from, nor one of which much waits
  // elsewhere.
  void ReadIfAllowed() {
    reading_.Allow(stream_->writable() && (produce_ == nullptr || produce_->may_read()));
  }

  void FinishIfAnswered() {
    // During construction there is no produce_ yet, and nothing to end.
    if (ending_ && produce_ != nullptr && produce_->outstanding() == 0) {
      stream_->Finish(end_status_);
    }
  }

  Broker* const broker_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  Reading reading_{stream_.get()};
  std::unique_ptr<ProduceStream> produce_;
  // The message that was taken in last.
  absl::StatusOr<api::ProduceStreamRequest> request_ = api::ProduceStreamRequest();
  bool ending_ = false;
  absl::Status end_status_;
};

// A push fetch. It ends when the client half-closes.
class FetchHandler final : public rpc::StreamHandler {
 public:
  FetchHandler(Broker* broker, std::shared_ptr<rpc::ServerStream> stream)
      : stream_(std::move(stream)),
        fetch_(broker->OpenFetchStream(
            CallerOf(stream_->context()),
            [this](api::FetchStreamResponse response) { Push(std::move(response)); })) {}

  void OnMessage(Bytes message) override {
    absl::StatusOr<api::FetchStreamRequest> request = api::DecodeFetchStreamRequest(message);
    if (!request.ok()) return stream_->Finish(request.status());
    if (!std::exchange(opened_, true)) plain_ = IsPlain(request->format);
    const absl::Status handled = fetch_->Handle(*std::move(request));
    if (!handled.ok()) return stream_->Finish(handled);
    // What it asks for may be answered at once, with an error: one that takes no answers is not
    // read from.
    reading_.Allow(CanTakeMore());
  }

  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnWritable() override {
    UnpackWhileWritable();
    if (CanTakeMore()) fetch_->SetWritable(true);
    reading_.Allow(CanTakeMore());
  }
  void OnDone(bool /*cancelled*/) override { fetch_.reset(); }

 private:
  // Batches of one partition whose records are still to be sent, from `result.fetch_offset` on.
  struct Packed {
    uint64_t assignment_number = 0;
    api::FetchPartitionResult result;
  };

  void Push(api::FetchStreamResponse response) {
    if (!plain_) {
      stream_->Write(api::EncodeFetchStreamResponse(response));
    } else {
      for (api::FetchPartitionResult& result : response.partitions) {
        packed_.push_back({response.assignment_number, std::move(result)});
      }
      UnpackWhileWritable();
    }
    if (!CanTakeMore() && fetch_ != nullptr) fetch_->SetWritable(false);
  }

  bool CanTakeMore() const { return packed_.empty() && stream_->writable(); }

  // Batches wait as they are, since their records may be many times as large, and are unpacked as
  // the client takes them.
  void UnpackWhileWritable() {
    while (!packed_.empty() && stream_->writable()) {
      Packed& first = packed_.front();
      api::FetchStreamResponse response;
      response.assignment_number = first.assignment_number;
      const std::optional<Offset> next =
          UnpackSome(first.result, kPlainBytesMax, &response.partitions.emplace_back());
      if (next) {
        first.result.fetch_offset = *next;
      } else {
        packed_.pop_front();
      }
      stream_->Write(api::EncodeFetchStreamResponse(response));
    }
  }

  // Of one message, but for its last record.
  static constexpr size_t kPlainBytesMax = 1 << 20;

  const std::shared_ptr<rpc::ServerStream> stream_;
  std::deque<Packed> packed_;
  std::unique_ptr<FetchStream> fetch_;
  // The first message says in which form records are pushed.
  bool opened_ = false;
  bool plain_ = true;
  Reading reading_{stream_.get()};
};

// Pushed metadata; the client only listens.
class WatchHandler final : public rpc::StreamHandler {
 public:
  WatchHandler(Broker* broker, std::shared_ptr<rpc::ServerStream> stream)
      : broker_(broker), stream_(std::move(stream)) {}

  void OnMessage(Bytes message) override {
    const absl::StatusOr<v1::WatchTopicsRequest> request =
        rpc::ParseMessage<v1::WatchTopicsRequest>(message);
    if (!request.ok()) return stream_->Finish(request.status());
    watch_ = broker_->OpenTopicWatch(
        CallerOf(stream_->context()), api::FromProto(*request),
        [this](const api::WatchTopicsResponse& response) {
          stream_->Write(rpc::SerializeMessage(api::ToProto(response)));
          if (watch_ != nullptr) watch_->SetWritable(stream_->writable());
        },
        stream_->context().deadline,
        [stream = stream_](absl::Status status) { stream->Finish(std::move(status)); });
    // It may have told much already.
    watch_->SetWritable(stream_->writable());
  }

  void OnHalfClose() override {}
  void OnWritable() override {
    if (watch_ != nullptr) watch_->SetWritable(true);
  }
  void OnDone(bool /*cancelled*/) override { watch_.reset(); }

 private:
  Broker* const broker_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  std::unique_ptr<TopicWatch> watch_;
};

}  // namespace

Caller CallerOf(const rpc::CallContext& context) {
  return {.listener = context.listener,
          .principal = {absl::StrCat(context.principal.type, ":", context.principal.name)},
          .forwarded = context.forwarded};
}

std::unique_ptr<rpc::StreamHandler> ServeProduceStream(Broker* broker,
                                                       std::shared_ptr<rpc::ServerStream> stream) {
  return std::make_unique<ProduceHandler>(broker, std::move(stream));
}

std::unique_ptr<rpc::StreamHandler> ServeFetchStream(Broker* broker,
                                                     std::shared_ptr<rpc::ServerStream> stream) {
  return std::make_unique<FetchHandler>(broker, std::move(stream));
}

std::unique_ptr<rpc::StreamHandler> ServeWatchTopics(Broker* broker,
                                                     std::shared_ptr<rpc::ServerStream> stream) {
  return std::make_unique<WatchHandler>(broker, std::move(stream));
}

}  // namespace millrace::broker
