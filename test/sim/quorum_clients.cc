#include "test/sim/quorum_clients.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "controller/commands.h"

namespace millrace::sim {
namespace {

using Kind = TopicCall::Kind;

constexpr int kNames = 3;
constexpr int kBrokers = 2;
constexpr absl::Duration kAttemptBound = absl::Milliseconds(900);
constexpr absl::Duration kCallBound = absl::Milliseconds(1500);
// Of a call that is tried again when its outcome is unknown: some elections.
constexpr absl::Duration kRepeatableCallBound = absl::Seconds(4);
constexpr int64_t kWallClockSpeed = 150;
constexpr char kConfig[] = "retention.ms";

std::string NameOf(uint64_t number) { return absl::StrCat("t", number); }
TopicId IdOf(uint64_t id) { return TopicId(Uuid(77, id)); }
uint64_t NumberOf(const std::string& id_bytes) {
  const auto id = TopicId::FromBytes(id_bytes);
  return id.ok() ? id->uuid().low() : 0;
}

using MaybeId = std::optional<v1::RequestId>;

template <class Request>
void SetId(const MaybeId& id, Request* request) {
  if (id.has_value()) *request->mutable_request_id() = *id;
}

controller::CreateTopicsCommand CreationOf(const TopicCall& call, const MaybeId& id) {
  controller::CreateTopicsCommand command;
  SetId(id, &command.request);
  v1::CreatableTopic* const topic = command.request.add_topics();
  topic->set_name(call.name);
  topic->set_partitions(1 + static_cast<int>(call.id % 6));
  topic->set_replication_factor(kBrokers);
  v1::ConfigEntry* const config = topic->add_configs();
  config->set_name(kConfig);
  config->set_value(absl::StrCat(call.value));
  command.fresh_ids.push_back(IdOf(call.id));
  command.placement_seed = call.id;
  return command;
}

v1::IncrementalAlterConfigsRequest AlterationOf(const TopicCall& call, const MaybeId& id) {
  v1::IncrementalAlterConfigsRequest request;
  SetId(id, &request);
  v1::AlterConfigsResource* const resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(call.name);
  v1::ConfigAlteration* const alteration = resource->add_alterations();
  alteration->set_name(kConfig);
  alteration->set_operation(v1::CONFIG_OPERATION_SET);
  alteration->set_value(absl::StrCat(call.value));
  return request;
}

TopicRegister RegisterOf(const v1::TopicDescription& topic) {
  TopicRegister found{NumberOf(topic.topic_id())};
  for (const v1::ConfigEntry& config : topic.configs()) {
    if (config.name() == kConfig) CHECK(absl::SimpleAtoi(config.value(), &found.value));
  }
  return found;
}

internal::v1::RegisterBrokerRequest RegistrationOf(int broker) {
  internal::v1::RegisterBrokerRequest request;
  request.set_broker_id(broker);
  request.set_incarnation_id(IncarnationId(Uuid(static_cast<uint64_t>(broker), 1)).ToBytes());
  auto* const listener = request.add_listeners();
  listener->set_name("PLAINTEXT");
  listener->set_host("localhost");
  listener->set_port(9000 + static_cast<uint32_t>(broker));
  request.add_log_dirs()->set_directory_id(
      DirectoryId(Uuid(1000, static_cast<uint64_t>(broker))).ToBytes());
  request.set_feature_level_min(1);
  request.set_feature_level_max(metadata::kFeatureLevelMax);
  return request;
}

}  // namespace

QuorumClients::QuorumClients(QuorumWorld* world, uint64_t seed)
    : world_(*world),
      random_(SimRandom(seed).Fork("clients")),
      strand_(world->loop().MakeExecutor("clients")) {}

QuorumClients::~QuorumClients() { strand_->Shutdown(); }

rsm::Now QuorumClients::Now() const {
  const MonotonicTime now = world_.loop().now();
  return {now, WallTime{absl::ToInt64Milliseconds(now - MonotonicTime()) * kWallClockSpeed}};
}

QuorumClients::Client* QuorumClients::AddClient() {
  clients_.push_back(std::make_unique<Client>());
  clients_.back()->number = clients_.size();
  return clients_.back().get();
}

absl::Duration QuorumClients::Delay() {
  return Between(random_, absl::Microseconds(50), absl::Milliseconds(1));
}

// One try after the other: registering twice changes nothing.
bool QuorumClients::Prepare(absl::Duration bound) {
  const MonotonicTime end = world_.loop().now() + bound;
  while (world_.loop().now() < end && world_.ok()) {
    world_.RunFor(absl::Milliseconds(20));
    const int leader = world_.leader();
    if (leader == 0) continue;
    ControllerHost& host = world_.server(leader).host();
    const auto& image = host.committed_state()->image;
    int active = 0;
    world_.server(leader).owner().RunNow([&] {
      for (int broker = 1; broker <= kBrokers; ++broker) {
        const metadata::BrokerImage* const known = image.FindBroker(NodeId(broker));
        if (known == nullptr) {
          host.Submit(RegistrationOf(broker), rsm::Now{},
                      [](absl::StatusOr<internal::v1::RegisterBrokerResponse>, LogIndex) {});
        } else if (known->state != metadata::BrokerState::kActive) {
          internal::v1::BrokerHeartbeatRequest heartbeat;
          heartbeat.set_broker_id(broker);
          heartbeat.set_broker_epoch(known->epoch.value());
          heartbeat.set_applied_index(image.index().value());
          heartbeat.set_want_active(true);
          host.Submit(heartbeat, rsm::Now{},
                      [](absl::StatusOr<internal::v1::BrokerHeartbeatResponse>, LogIndex) {});
        } else {
          ++active;
        }
      }
    });
    if (active == kBrokers) return true;
  }
  return false;
}

void QuorumClients::Begin(int count, absl::Duration pause_max) {
  stopped_ = false;
  pause_max_ = pause_max;
  for (int i = 0; i < count; ++i) {
    Next(AddClient());
  }
}

void QuorumClients::Next(Client* client) {
  if (stopped_) return;
  strand_->PostAt(world_.loop().now() + Between(random_, absl::ZeroDuration(), pause_max_),
                  [this, client] {
                    if (stopped_) return;
                    Draw(&client->call);
                    Call(client);
                  });
}

void QuorumClients::Draw(TopicCall* call) {
  *call = TopicCall{.name = NameOf(random_.Below(kNames))};
  const uint64_t dice = random_.Below(100);
  if (dice < 25) {
    call->kind = Kind::kCreate;
    call->id = ++last_id_;
    call->value = ++last_value_;
  } else if (dice < 35) {
    call->kind = Kind::kDelete;
  } else if (dice < 60) {
    call->kind = Kind::kAlter;
    call->value = ++last_value_;
  }
}

void QuorumClients::Call(Client* client) {
  ++busy_;
  client->id = history_.OnCalled(client->call);
  client->unknown = false;
  client->request_id.reset();
  if (client->call.kind != Kind::kDescribe && OneIn(random_, 2)) {
    client->request_id.emplace();
    client->request_id->set_client_id(Uuid(55, client->number).ToBytes());
    client->request_id->set_sequence(++client->last_sequence);
  }
  client->deadline =
      world_.loop().now() + (client->request_id.has_value() ? kRepeatableCallBound : kCallBound);
  const std::vector<int> nodes = world_.nodes();
  client->target = nodes[random_.Below(nodes.size())];
  Attempt(client);
}

void QuorumClients::Attempt(Client* client) {
  const int attempt = ++client->attempt;
  auto on_outcome = [this, client, attempt](const Outcome& outcome) {
    strand_->PostAt(world_.loop().now() + Delay(),
                    [this, client, attempt, outcome] { OnOutcome(client, attempt, outcome); });
  };
  strand_->PostAt(world_.loop().now() + kAttemptBound,
                  [this, client, attempt] { OnOutcome(client, attempt, Outcome{}); });
  strand_->PostAt(world_.loop().now() + Delay(), [this, client, on_outcome] {
    QuorumServer& server = world_.server(client->target);
    // Nobody listens.
    if (!server.running()) return on_outcome(Outcome{Outcome::Kind::kNotDone});
    server.owner().Post([this, &server, call = client->call, id = client->request_id, on_outcome] {
      Submit(server, call, id, on_outcome);
    });
  });
}

void QuorumClients::OnOutcome(Client* client, int attempt, const Outcome& outcome) {
  if (client->attempt != attempt) return;
  ++client->attempt;
  if (outcome.kind == Outcome::Kind::kAnswered) {
    ++answered_;
    history_.OnAnswered(client->id, outcome.answer);
    if (client->unknown) world_.checks().Reach("outcome learned by asking again");
    return End(client);
  }
  if (outcome.kind == Outcome::Kind::kUnknown) {
    client->unknown = true;
    if (!client->request_id.has_value()) return GiveUp(client);
    client->request_id->set_retry(true);
  }
  if (world_.loop().now() >= client->deadline) {
    if (client->unknown) return GiveUp(client);
    history_.OnRefused(client->id);
    return End(client);
  }
  const std::vector<int> nodes = world_.nodes();
  client->target = nodes[random_.Below(nodes.size())];
  if (outcome.hint != kNoNode && !OneIn(random_, 4)) client->target = outcome.hint.value();
  strand_->PostAt(world_.loop().now() + Between(random_, Delay(), absl::Milliseconds(60)),
                  [this, client] { Attempt(client); });
}

void QuorumClients::GiveUp(Client* client) {
  world_.checks().Reach("outcome unknown");
  End(client);
}

void QuorumClients::End(Client* client) {
  --busy_;
  if (!client->once) Next(client);
}

bool QuorumClients::DescribeAll(absl::Duration bound) {
  const int64_t before = answered_;
  for (int i = 0; i < kNames; ++i) {
    Client* const client = AddClient();
    client->once = true;
    client->call = TopicCall{.name = NameOf(static_cast<uint64_t>(i))};
    Call(client);
  }
  const MonotonicTime end = world_.loop().now() + bound;
  while (!idle() && world_.ok() && world_.loop().now() < end) {
    world_.RunFor(absl::Milliseconds(10));
  }
  return answered_ == before + kNames;
}

// ---- At a controller ----

QuorumClients::Outcome QuorumClients::OutcomeOf(QuorumServer& server, const absl::Status& status,
                                                ErrorCode result, const TopicRegister& found) {
  if (status.ok()) {
    if (result != ErrorCode::kNone && result != ErrorCode::kTopicAlreadyExists &&
        result != ErrorCode::kUnknownTopicOrPartition) {
      world_.checks().Report(absl::StrCat("an answer of ", ErrorCodeName(result)));
    }
    return {Outcome::Kind::kAnswered, {result == ErrorCode::kNone, found}};
  }
  const ErrorCode code = CodeOf(status);
  if (code == ErrorCode::kOutcomeUnknown) return {};
  if (code != ErrorCode::kNotController && code != ErrorCode::kResourceExhausted &&
      code != ErrorCode::kStorageError) {
    world_.checks().Report(absl::StrCat("a refusal: ", status.ToString()));
  }
  return {Outcome::Kind::kNotDone, {}, server.log().leader_hint().leader};
}

template <class Request, class Find>
void QuorumClients::Ask(QuorumServer& server, const Request& request, Find find, Done done) {
  using Response = ControllerHost::ReplyFor<Request>;
  server.host().Submit(
      request, Now(),
      [this, &server, find, done = std::move(done)](absl::StatusOr<Response> response,
                                                    LogIndex index) mutable {
        if (!response.ok()) return done(OutcomeOf(server, response.status(), {}, {}));
        world_.checks().OnAnswered(index);
        TopicRegister found;
        const int code = find(*response, &found);
        done(OutcomeOf(server, absl::OkStatus(), static_cast<ErrorCode>(code), found));
      });
}

void QuorumClients::Submit(QuorumServer& server, const TopicCall& call, const MaybeId& id,
                           Done done) {
  switch (call.kind) {
    case Kind::kCreate:
      return Ask(
          server, CreationOf(call, id),
          [](const v1::CreateTopicsResponse& r, TopicRegister*) { return r.topics(0).code(); },
          std::move(done));
    case Kind::kDelete: {
      v1::DeleteTopicsRequest request;
      SetId(id, &request);
      request.add_names(call.name);
      return Ask(
          server, request,
          [](const v1::DeleteTopicsResponse& r, TopicRegister* found) {
            if (r.topics(0).code() == 0) found->id = NumberOf(r.topics(0).topic_id());
            return r.topics(0).code();
          },
          std::move(done));
    }
    case Kind::kAlter:
      return Ask(
          server, AlterationOf(call, id),
          [](const v1::IncrementalAlterConfigsResponse& r, TopicRegister*) {
            return r.resources(0).code();
          },
          std::move(done));
    case Kind::kDescribe: {
      v1::DescribeTopicsRequest request;
      request.add_names(call.name);
      return Ask(
          server, request,
          [](const v1::DescribeTopicsResponse& r, TopicRegister* found) {
            if (r.topics(0).code() == 0) *found = RegisterOf(r.topics(0));
            return r.topics(0).code();
          },
          std::move(done));
    }
  }
}

}  // namespace millrace::sim
