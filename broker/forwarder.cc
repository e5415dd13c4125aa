#include "broker/forwarder.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "broker/fetch_call.h"

namespace millrace::broker {
namespace {

// Beyond what the other broker may take itself: its answer then says more than a deadline would.
constexpr absl::Duration kMargin = absl::Seconds(2);
constexpr absl::Duration kQuestionTimeout = absl::Seconds(10);

// The partitions of `whole` at `positions`, and all else that it says. Leaves them moved from.
template <class Request>
Request PartOf(Request* whole, const std::vector<size_t>& positions) {
  auto partitions = std::exchange(whole->partitions, {});
  Request part = *whole;
  for (const size_t i : positions) part.partitions.push_back(std::move(partitions[i]));
  whole->partitions = std::move(partitions);
  return part;
}

// A result of `status` for each partition.
template <class Response, class Request>
Response Failed(const Request& request, const absl::Status& status) {
  Response response;
  for (const auto& partition : request.partitions) {
    auto& result = response.partitions.emplace_back();
    result.name = partition.name;
    result.outcome = api::PartitionOutcome::Of(status);
  }
  return response;
}

// Another broker's answer, if it has as many results as it was asked for.
template <class Response>
absl::Status CheckAnswer(const absl::StatusOr<Response>& answer, size_t asked) {
  if (!answer.ok()) return answer.status();
  if (answer->partitions.size() == asked) return absl::OkStatus();
  return MakeError(ErrorCode::kOutcomeUnknown,
                   absl::StrCat("the leader answered for ", answer->partitions.size(),
                                " partitions, and was asked for ", asked));
}

}  // namespace

// --- Who answers ---

NodeId Forwarder::AnswererOf(const api::PartitionName& name, bool nearby) const {
  const std::shared_ptr<const metadata::Image>& image = gather_->edge()->image();
  if (image == nullptr) return options_.self;
  const metadata::TopicImage* topic =
      name.topic_id.is_zero() ? image->FindTopic(name.topic) : image->FindTopic(name.topic_id);
  const metadata::PartitionImage* partition =
      topic == nullptr ? nullptr : topic->FindPartition(name.partition);
  if (partition == nullptr || partition->leader == kNoNode) return options_.self;
  if (nearby && partition->InIsr(options_.self)) return options_.self;
  return AddressOf(partition->leader).empty() ? options_.self : partition->leader;
}

std::string Forwarder::AddressOf(NodeId broker) const {
  const metadata::BrokerImage* found = gather_->edge()->image()->FindBroker(broker);
  if (found == nullptr || found->listeners.empty()) return "";
  const metadata::Listener* listener = found->FindListener(options_.listener);
  if (listener == nullptr) listener = &found->listeners.front();
  return listener->address();
}

template <class Request>
Forwarder::Parts Forwarder::Split(const Request& request, bool nearby) const {
  Parts parts;
  for (size_t i = 0; i < request.partitions.size(); ++i) {
    parts[AnswererOf(request.partitions[i].name, nearby)].push_back(i);
  }
  return parts;
}

absl::StatusOr<Reservation> Forwarder::Reserve(int64_t bytes) {
  Reservation share;
  // One that is larger than all of the budget goes alone.
  if (budget_.TryReserve(bytes, &share)) return share;
  return MakeError(
      ErrorCode::kResourceExhausted,
      absl::StrCat(
          budget_.used_bytes(),
          " bytes are on their way to other brokers; try again, or send to the leader that "
          "comes with this answer"));
}

// --- Calls ---

// Asks everybody for their part; `done` gets all of it, in the order of the request.
template <class Response, class Request, class Here, class There>
void Forwarder::Pass(Request request, const Parts& parts, const Caller& caller,
                     absl::AnyInvocable<void(Response) &&> done, Here here, There there) {
  struct Merging {
    Response response;
    size_t left = 0;
    absl::AnyInvocable<void(Response) &&> done;
  };
  auto merging = std::make_shared<Merging>();
  merging->response.partitions.resize(request.partitions.size());
  merging->left = parts.size();
  merging->done = std::move(done);
  for (const auto& [broker, positions] : parts) {
    auto merge = [this, merging, positions = positions, broker = broker, caller](Response part) {
      for (size_t i = 0; i < positions.size(); ++i) {
        if (broker != options_.self) NameLeader(caller, broker, &part.partitions[i]);
        merging->response.partitions[positions[i]] = std::move(part.partitions[i]);
      }
      if (--merging->left == 0) std::move(merging->done)(std::move(merging->response));
    };
    Request part = PartOf(&request, positions);
    if (broker == options_.self) {
      here(std::move(part), std::move(merge));
      continue;
    }
    // What the answer is made of if there is none.
    Request asked;
    for (const auto& partition : part.partitions) {
      asked.partitions.emplace_back().name = partition.name;
    }
    there(broker, std::move(part),
          [asked = std::move(asked), merge](absl::StatusOr<Response> answer) mutable {
            const absl::Status status = CheckAnswer(answer, asked.partitions.size());
            merge(status.ok() ? *std::move(answer) : Failed<Response>(asked, status));
          });
  }
}

void Forwarder::Produce(api::ProduceRequest request, const Caller& caller,
                        absl::AnyInvocable<void(api::ProduceResponse) &&> done) {
  const Parts parts = Split(request);
  if (caller.forwarded || IsHereAlone(parts)) {
    return gather_->Produce(std::move(request), caller, std::move(done));
  }
  const absl::Duration timeout =
      gather_->ProduceDeadline(request.timeout, gather_->now()) - gather_->now() + kMargin;
  Pass<api::ProduceResponse>(
      std::move(request), parts, caller, std::move(done),
      [this, &caller](api::ProduceRequest part, auto merge) {
        gather_->Produce(std::move(part), caller, std::move(merge));
      },
      [this, timeout](NodeId leader, api::ProduceRequest part, auto merge) {
        int64_t bytes = 0;
        for (const api::ProducePartition& partition : part.partitions) {
          bytes += static_cast<int64_t>(partition.batches.size());
        }
        absl::StatusOr<Reservation> share = Reserve(bytes);
        if (!share.ok()) return merge(share.status());
        channel_->Produce(AddressOf(leader), part, timeout,
                          [share = *std::move(share), merge = std::move(merge)](
                              absl::StatusOr<api::ProduceResponse> answer) mutable {
                            share.Release();
                            merge(std::move(answer));
                          });
      });
}

void Forwarder::ListOffsets(api::ListOffsetsRequest request, const Caller& caller,
                            absl::AnyInvocable<void(api::ListOffsetsResponse) &&> done) {
  const Parts parts = Split(request);
  if (caller.forwarded || IsHereAlone(parts)) {
    return gather_->ListOffsets(std::move(request), caller, std::move(done));
  }
  Pass<api::ListOffsetsResponse>(
      std::move(request), parts, caller, std::move(done),
      [this, &caller](api::ListOffsetsRequest part, auto merge) {
        gather_->ListOffsets(std::move(part), caller, std::move(merge));
      },
      [this](NodeId leader, const api::ListOffsetsRequest& part, auto merge) {
        channel_->ListOffsets(AddressOf(leader), part, kQuestionTimeout, std::move(merge));
      });
}

void Forwarder::OffsetForLeaderEpoch(
    api::OffsetForLeaderEpochRequest request, const Caller& caller,
    absl::AnyInvocable<void(api::OffsetForLeaderEpochResponse) &&> done) {
  const Parts parts = Split(request);
  if (caller.forwarded || IsHereAlone(parts)) {
    return gather_->OffsetForLeaderEpoch(std::move(request), caller, std::move(done));
  }
  Pass<api::OffsetForLeaderEpochResponse>(
      std::move(request), parts, caller, std::move(done),
      [this, &caller](api::OffsetForLeaderEpochRequest part, auto merge) {
        gather_->OffsetForLeaderEpoch(std::move(part), caller, std::move(merge));
      },
      [this](NodeId leader, const api::OffsetForLeaderEpochRequest& part, auto merge) {
        channel_->OffsetForLeaderEpoch(AddressOf(leader), part, kQuestionTimeout, std::move(merge));
      });
}

void Forwarder::DeleteRecords(api::DeleteRecordsRequest request, const Caller& caller,
                              absl::AnyInvocable<void(api::DeleteRecordsResponse) &&> done) {
  const Parts parts = Split(request);
  if (caller.forwarded || IsHereAlone(parts)) {
    return gather_->DeleteRecords(std::move(request), caller, std::move(done));
  }
  const absl::Duration timeout =
      gather_->ProduceDeadline(request.timeout, gather_->now()) - gather_->now() + kMargin;
  Pass<api::DeleteRecordsResponse>(
      std::move(request), parts, caller, std::move(done),
      [this, &caller](api::DeleteRecordsRequest part, auto merge) {
        gather_->DeleteRecords(std::move(part), caller, std::move(merge));
      },
      [this, timeout](NodeId leader, const api::DeleteRecordsRequest& part, auto merge) {
        channel_->DeleteRecords(AddressOf(leader), part, timeout, std::move(merge));
      });
}

// --- Fetch: whoever has something first answers for all ---

// One fetch of which others have a part. All are asked at once without waiting; if that gives too
// little, it is let go with the memory that it holds, all are asked again with the caller's wait,
// and the first who has something ends it. Who is not needed any more is told so: a long poll that
// nobody waits for would hold its place on the connection to its leader for as long as the caller
// said. Who had a little in the first round is then asked for it once more, without waiting: behind
// others who always have enough, it would never be heard.
class Forwarder::FetchRound final : public OngoingFetch,
                                    public std::enable_shared_from_this<FetchRound> {
 public:
  using Done = absl::AnyInvocable<void(api::FetchResponse) &&>;

  FetchRound(Forwarder* forwarder, api::FetchRequest request, Parts parts, const Caller& caller,
             Done done)
      : forwarder_(forwarder),
        request_(std::move(request)),
        parts_(std::move(parts)),
        caller_(caller),
        done_(std::move(done)) {
    response_.partitions.resize(request_.partitions.size());
    for (size_t i = 0; i < request_.partitions.size(); ++i) {
      response_.partitions[i].name = request_.partitions[i].name;
    }
  }

  void Start() {
    // With one to ask there is nothing to weigh: it waits itself.
    Ask(parts_, parts_.size() == 1 ? request_.max_wait : absl::ZeroDuration());
  }
  void Cancel() override {
    done_ = nullptr;
    EndOthers();
  }
  bool is_over() const { return done_ == nullptr; }

 private:
  void Ask(const Parts& parts, absl::Duration wait) {
    const int round = ++round_;
    last_round_ |= wait == request_.max_wait;
    waits_ = wait > absl::ZeroDuration();
    left_ = parts.size();
    // All of the round before have answered, or were told that they are not waited for.
    asked_there_.clear();
    for (const auto& [broker, positions] : parts) {
      if (is_over() || round != round_) return;  // Who was asked first has answered at once.
      api::FetchRequest whole = request_;
      api::FetchRequest part = PartOf(&whole, positions);
      part.max_wait = wait;
      // The service makes plain records of batches.
      part.format = api::RecordFormat::kBatches;
      auto take = [self = shared_from_this(), round, broker = broker](api::FetchResponse answer) {
        if (round == self->round_) self->Take(broker, std::move(answer));
      };
      if (broker == forwarder_->options_.self) {
        asked_here_ = forwarder_->gather_->Fetch(std::move(part), caller_, std::move(take));
        continue;
      }
      asked_there_[broker] = forwarder_->channel_->Fetch(
          forwarder_->AddressOf(broker), part, wait + kQuestionTimeout,
          [part, take = std::move(take)](absl::StatusOr<api::FetchResponse> answer) mutable {
            const absl::Status status = CheckAnswer(answer, part.partitions.size());
            take(status.ok() ? *std::move(answer) : Failed<api::FetchResponse>(part, status));
          });
    }
  }

  void EndOthers() {
    for (auto& [broker, end] : std::exchange(asked_there_, {})) std::move(end)();
    if (const std::shared_ptr<FetchCall> here = asked_here_.lock()) here->Cancel();
  }

  void Take(NodeId broker, api::FetchResponse answer) {
    if (is_over()) return;  // Another one's answer came first, or nobody wants it any more.
    asked_there_.erase(broker);
    const std::vector<size_t>& positions = parts_.at(broker);
    const size_t bytes_before = bytes_;
    for (size_t i = 0; i < positions.size(); ++i) {
      api::FetchPartitionResult& result = answer.partitions[i];
      result.fetch_offset = request_.partitions[positions[i]].offset;
      if (broker != forwarder_->options_.self) forwarder_->NameLeader(caller_, broker, &result);
      bytes_ += api::TotalBytes(result.batches);
      // One whose disk does not answer in time is waited for as one without records is. Where that
      // was answered at once, the caller would ask again at once, for as long as the disk hangs.
      const bool late = result.outcome.code == ErrorCode::kRequestTimedOut;
      failed_ |= !result.outcome.ok() && !(late && !last_round_);
      response_.partitions[positions[i]] = std::move(result);
    }
    --left_;
    if (last_round_) {
      owed_.erase(broker);
    } else if (bytes_ > bytes_before) {
      owed_.emplace(broker, positions);
    }
    const bool enough = failed_ || bytes_ >= static_cast<size_t>(std::max(request_.bytes_min, 1));
    // Those who wait are ended by the first who has something; the other rounds hear everybody.
    if (left_ == 0 ? enough || last_round_ : enough && waits_) return End();
    if (left_ > 0) return;
    bytes_ = 0;
    for (api::FetchPartitionResult& result : response_.partitions) result.batches.clear();
    Ask(parts_, request_.max_wait);
  }

  void End() {
    const bool others_wait = left_ > 0;
    if (others_wait && !owed_.empty()) {
      EndOthers();
      return Ask(std::exchange(owed_, {}), absl::ZeroDuration());
    }
    Done done = std::exchange(done_, nullptr);
    if (others_wait) EndOthers();
    return std::move(done)(std::move(response_));
  }

  Forwarder* const forwarder_;
  const api::FetchRequest request_;
  const Parts parts_;
  const Caller caller_;
  Done done_;
  api::FetchResponse response_;
  size_t left_ = 0;
  size_t bytes_ = 0;
  bool failed_ = false;
  bool last_round_ = false;
  bool waits_ = false;
  int round_ = 0;
  // Who had something in the first round, and has not answered in the second.
  Parts owed_;
  // Of the round under way: this broker's own part, and what ends those of others.
  std::weak_ptr<FetchCall> asked_here_;
  std::map<NodeId, Task> asked_there_;
};

std::weak_ptr<OngoingFetch> Forwarder::Fetch(api::FetchRequest request, const Caller& caller,
                                             absl::AnyInvocable<void(api::FetchResponse) &&> done) {
  Parts parts = Split(request, gather_->IsNearby(request.rack));
  if (caller.forwarded || IsHereAlone(parts)) {
    return gather_->Fetch(std::move(request), caller, std::move(done));
  }
  const auto round = std::make_shared<FetchRound>(this, std::move(request), std::move(parts),
                                                  caller, std::move(done));
  round->Start();
  // The others' calls may keep it alive when it has answered already.
  if (round->is_over()) return {};
  return round;
}

}  // namespace millrace::broker
