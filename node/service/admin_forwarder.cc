#include "node/service/admin_forwarder.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/deadline_timer.h"
#include "base/status.h"
#include "rpc/client_call.h"

namespace millrace::node {
namespace {

AdminRoute::Forwarded HowEnded(const absl::Status& status) {
  if (status.ok()) return AdminRoute::Forwarded::kAnswered;
  switch (rpc::DeliveryOf(status)) {
    case rpc::Delivery::kNotSent:
      return AdminRoute::Forwarded::kNotSent;
    case rpc::Delivery::kUnknown:
      return AdminRoute::Forwarded::kUnknown;
    case rpc::Delivery::kAnswered:
      break;
  }
  return AdminRoute::Forwarded::kAnswered;
}

}  // namespace

// One request, until it is answered or its caller has gone. The forwarder owns it; what comes back
// late finds it gone.
class AdminForwarder::RoutedCall : public std::enable_shared_from_this<RoutedCall> {
 public:
  RoutedCall(AdminForwarder* forwarder, uint64_t id, const rpc::CallContext& context, Call call,
             Reply reply)
      : forwarder_(forwarder),
        id_(id),
        deadline_(context.deadline),
        call_(std::move(call)),
        reply_(std::move(reply)),
        route_(forwarder->options_.route, forwarder->self_,
               {.forwarded = context.forwarded,
                .read_only = call_.read_only,
                .deadline = context.deadline},
               Now()),
        timer_(forwarder->queue_, [this] { Do(route_.OnTime(forwarder_->leader_, Now())); }) {}

  void Start() {
    reply_.SetOnCancel([weak = weak_from_this()] {
      if (auto self = weak.lock(); self != nullptr) self->End();
    });
    // It may have been cancelled already.
    if (!ended_) AskHere();
  }

  void OnLeader() { Do(route_.OnLeader(forwarder_->leader_, Now())); }

 private:
  MonotonicTime Now() const { return forwarder_->queue_->clock().Now(); }

  void Do(AdminRoute::Step step) {
    if (ended_) return;
    const auto self = shared_from_this();
    timer_.Set(step.until);
    switch (step.kind) {
      case AdminRoute::Kind::kAskHere:
        return AskHere();
      case AdminRoute::Kind::kForward:
        return Forward(step.address);
      case AdminRoute::Kind::kWait:
        return;
      case AdminRoute::Kind::kReply:
        if (!step.status.ok()) answer_ = std::move(step.status);
        reply_(std::move(answer_));
        return End();
    }
  }

  void AskHere() {
    GiveUpForwarded();
    call_.ask_here(call_.request, [weak = weak_from_this(), queue = forwarder_->queue_,
                                   attempt = attempt_](auto answer) mutable {
      // What is answered, or dropped, after the server's end finds no queue either.
      if (weak.expired()) return;
      auto told = [weak, attempt, answer = std::move(answer)]() mutable {
        auto self = weak.lock();
        if (self != nullptr) self->AnsweredHere(attempt, std::move(answer));
      };
      if (queue->IsCurrent()) return told();
      queue->Post(std::move(told));
    });
  }

  void AnsweredHere(int attempt, absl::StatusOr<rpc::BytesList> answer) {
    if (ended_ || attempt != attempt_) return;
    answer_ = std::move(answer);
    Do(route_.OnAnsweredHere(answer_.status(), forwarder_->leader_, Now()));
  }

  void Forward(const std::string& address) {
    GiveUpForwarded();
    const absl::Duration timeout =
        deadline_ == MonotonicTime::Never() ? forwarder_->options_.forward_max : deadline_ - Now();
    std::shared_ptr<rpc::ClientCall> call = rpc::StartUnary(
        forwarder_->queue_, forwarder_->channels_.GetGrowing("admin", address, Now()), call_.method,
        {call_.request}, {.timeout = timeout, .forwarded = true},
        [weak = weak_from_this(), attempt = attempt_](absl::StatusOr<Bytes> answer) {
          auto self = weak.lock();
          if (self != nullptr) self->AnsweredThere(attempt, std::move(answer));
        });
    // Unless it has failed inside.
    if (!ended_) forwarded_ = std::move(call);
  }

  void AnsweredThere(int attempt, absl::StatusOr<Bytes> answer) {
    if (ended_ || attempt != attempt_) return;
    forwarded_ = nullptr;
    const AdminRoute::Forwarded how = HowEnded(answer.status());
    answer_ = answer.ok() ? absl::StatusOr<rpc::BytesList>(rpc::BytesList{*std::move(answer)})
                          : absl::StatusOr<rpc::BytesList>(answer.status());
    Do(route_.OnForwarded(how, answer_.status(), forwarder_->leader_, Now()));
  }

  // What it brings after this is of an attempt before.
  void GiveUpForwarded() {
    ++attempt_;
    if (forwarded_ != nullptr) std::exchange(forwarded_, nullptr)->Cancel();
  }

  void End() {
    if (std::exchange(ended_, true)) return;
    GiveUpForwarded();
    timer_.Clear();
    // The last use of this.
    forwarder_->calls_.erase(id_);
  }

  AdminForwarder* const forwarder_;
  const uint64_t id_;
  const MonotonicTime deadline_;
  const Call call_;
  Reply reply_;
  AdminRoute route_;
  DeadlineTimer timer_;
  // Counts the times the request was asked, here or there.
  int attempt_ = 0;
  std::shared_ptr<rpc::ClientCall> forwarded_;
  // The newest answer.
  absl::StatusOr<rpc::BytesList> answer_ = rpc::BytesList();
  bool ended_ = false;
};

AdminForwarder::AdminForwarder(const AdminForwarderOptions& options, NodeId self,
                               rpc::CompletionQueueExecutor* queue)
    : options_(options),
      self_(self),
      queue_(queue),
      channels_(rpc::ChannelOptions{.credentials = options.credentials}) {}

AdminForwarder::~AdminForwarder() = default;

void AdminForwarder::Serve(const rpc::CallContext& context, Call call, Reply reply) {
  CHECK(queue_->IsCurrent());
  if (calls_.size() >= options_.calls_max) {
    return reply(MakeError(
        ErrorCode::kResourceExhausted,
        absl::StrCat(calls_.size(), " requests wait for the active controller; retry later"),
        {.name = "requests", .value = absl::StrCat(calls_.size())}));
  }
  const uint64_t id = next_call_++;
  auto routed = std::make_shared<RoutedCall>(this, id, context, std::move(call), std::move(reply));
  calls_.emplace(id, routed);
  routed->Start();
}

void AdminForwarder::SetLeader(const LeaderHint& leader) {
  queue_->Post([this, leader] {
    leader_ = leader;
    // Answering changes the map.
    std::vector<std::shared_ptr<RoutedCall>> calls;
    for (const auto& [id, call] : calls_) calls.push_back(call);
    for (const std::shared_ptr<RoutedCall>& call : calls) call->OnLeader();
  });
}

}  // namespace millrace::node
