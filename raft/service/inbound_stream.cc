#include "raft/service/inbound_stream.h"

#include <utility>

#include "base/status.h"
#include "raft/codec/hello_codec.h"
#include "raft/codec/message_decoder.h"

namespace millrace::raft {
namespace {

class ReplicateHandler final : public rpc::StreamHandler {
 public:
  ReplicateHandler(InboundPort port, std::shared_ptr<rpc::ServerStream> stream)
      : port_(std::move(port)),
        stream_(std::move(stream)),
        inbound_(std::make_shared<InboundStream>(stream_, port_.waiting_bytes_max)) {}

  void OnMessage(Bytes message) override {
    const auto bytes = static_cast<int64_t>(message.size());
    absl::StatusOr<ReplicateRequest> request = DecodeReplicateRequest(message);
    if (!request.ok()) return Refuse(request.status());
    if (!greeted_) return Greet(*request);
    if (request->hello.has_value()) return Refuse(Unexpected("a second hello"));
    if (inbound_->Waits(bytes)) stream_->PauseReading();
    Tell([bytes, messages = std::move(request->messages)](InboundSink* sink, const auto& inbound) {
      if (sink != nullptr) sink->OnMessages(inbound, messages, bytes);
      inbound->Taken(bytes);
    });
  }

  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }

  void OnDone(bool) override {
    Tell([](InboundSink* sink, const auto& inbound) {
      if (sink != nullptr) sink->OnEnded(inbound);
    });
  }

 private:
  static absl::Status Unexpected(absl::string_view what) {
    return MakeError(
        ErrorCode::kCorruptMessage,
        absl::StrCat("a stream of Raft messages has ", what, ": it begins with one hello, alone"));
  }

  void Greet(const ReplicateRequest& request) {
    if (!request.hello.has_value()) return Refuse(Unexpected("no hello"));
    if (!request.messages.empty()) return Refuse(Unexpected("messages beside the hello"));
    greeted_ = true;
    inbound_->SetClaim(
        rpc::CheckClaim(stream_->context(), request.hello->from.node, "a controller"));
    Tell([hello = *request.hello](InboundSink* sink, const auto& inbound) {
      if (sink != nullptr) return sink->OnOpened(inbound, hello);
      inbound->Finish(MakeError(ErrorCode::kShuttingDown, "this node's quorum has shut down"));
    });
  }

  void Refuse(absl::Status why) {
    stream_->Finish(why);
    Tell([why = std::move(why)](InboundSink* sink, const auto& inbound) {
      if (sink != nullptr) sink->OnMalformed(inbound, why);
    });
  }

  // Calls `tell` with the sink, or with null if that has gone: at once if this is the owner's
  // executor (no event of a stream comes from within a call of the owner), so that the order is
  // kept either way.
  template <class F>
  void Tell(F tell) {
    if (port_.owner->IsCurrent()) {
      const std::shared_ptr<InboundSink> sink = port_.sink.lock();
      return tell(sink.get(), inbound_);
    }
    port_.owner->Post([weak = port_.sink, inbound = inbound_, tell = std::move(tell)] {
      const std::shared_ptr<InboundSink> sink = weak.lock();
      tell(sink.get(), inbound);
    });
  }

  const InboundPort port_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  const std::shared_ptr<InboundStream> inbound_;
  bool greeted_ = false;
};

}  // namespace

void InboundStream::Answer(const Hello& hello) {
  const auto stream = stream_.lock();
  if (stream != nullptr) stream->Write({Bytes::FromString(EncodeHelloResponse(hello))});
}

void InboundStream::Finish(const absl::Status& status) {
  if (const auto stream = stream_.lock()) stream->Finish(status);
}

bool InboundStream::Waits(int64_t bytes) {
  return waiting_.fetch_add(bytes, std::memory_order_relaxed) + bytes > waiting_max_;
}

// Whoever pauses has added to what waits before, so the line below is crossed after it.
void InboundStream::Taken(int64_t bytes) {
  const int64_t before = waiting_.fetch_sub(bytes, std::memory_order_relaxed);
  const int64_t resume_at = waiting_max_ / 2;
  if (before <= resume_at || before - bytes > resume_at) return;
  const auto stream = stream_.lock();
  if (stream == nullptr) return;
  stream->context().executor->Post([stream] { stream->ResumeReading(); });
}

std::unique_ptr<rpc::StreamHandler> ServeReplicate(const InboundPort& port,
                                                   std::shared_ptr<rpc::ServerStream> stream) {
  return std::make_unique<ReplicateHandler>(port, std::move(stream));
}

}  // namespace millrace::raft
