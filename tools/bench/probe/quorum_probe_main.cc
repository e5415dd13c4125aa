// A client of a quorum of controllers, to measure how fast it commits small changes, and of etcd,
// to measure the same there: the same client for both, that differs in the method and the bytes it
// sends. Prints one JSON object.
//
//   quorum_probe changes --target millrace|etcd --address HOST:PORT --clients N --seconds S
//                        [--topic TOPIC]
//   quorum_probe topics --address HOST:PORT --topics N --partitions N
//   quorum_probe next-commit --addresses HOST:PORT,... --topic TOPIC --pid PID --signal NUMBER
//
// changes: N clients, each with its own connection and one call under way: one config value of the
// topic is set to another number, with a request id, as client/admin.h sends it; or etcd's put of a
// value of the same length. topics: creates topics, one request after the other. next-commit: sends
// the signal to the process, the leader, and asks the others in turn for a change every 20 ms, each
// a request of its own, until one of them is acknowledged: the time in between.
#include <signal.h>

#include <chrono>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/uuid.h"
#include "millrace/v1/admin_service.pb.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"
#include "tools/bench/probe/figures.h"

namespace millrace::bench {
namespace {

constexpr char kAdminService[] = "/millrace.v1.AdminService/";
constexpr double kWarmUpSeconds = 0.5;
constexpr std::chrono::milliseconds kTryEvery(20);

// What is sent: a method, and requests that each change something.
class Changes {
 public:
  virtual ~Changes() = default;
  virtual std::string method() const = 0;
  virtual rpc::BytesList Next() = 0;
  // An error if the answer says that nothing was changed.
  virtual absl::Status Check(const Bytes& answer) const = 0;
};

class MillraceChanges final : public Changes {
 public:
  explicit MillraceChanges(std::string topic) : topic_(std::move(topic)) {
    SystemRandom random;
    client_id_ = Uuid::Draw(random).ToBytes();
    // Not what the client before has left there.
    value_ = static_cast<int64_t>(10'000'000 + random.Below(80'000'000));
  }
  std::string method() const override {
    return absl::StrCat(kAdminService, "IncrementalAlterConfigs");
  }
  rpc::BytesList Next() override {
    v1::IncrementalAlterConfigsRequest request;
    v1::AlterConfigsResource* resource = request.add_resources();
    resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
    resource->mutable_resource()->set_name(topic_);
    v1::ConfigAlteration* alteration = resource->add_alterations();
    alteration->set_name("retention.ms");
    alteration->set_operation(v1::CONFIG_OPERATION_SET);
    alteration->set_value(absl::StrCat(++value_));
    request.mutable_request_id()->set_client_id(client_id_);
    request.mutable_request_id()->set_sequence(++sequence_);
    return rpc::SerializeMessage(request);
  }
  absl::Status Check(const Bytes& answer) const override {
    ASSIGN_OR_RETURN(const auto response,
                     rpc::ParseMessage<v1::IncrementalAlterConfigsResponse>(answer));
    if (response.resources(0).code() == v1::ERROR_CODE_UNSPECIFIED) return absl::OkStatus();
    return absl::InternalError(response.resources(0).message());
  }

 private:
  const std::string topic_;
  std::string client_id_;
  int64_t value_ = 0;
  int64_t sequence_ = 0;
};

// etcdserverpb.PutRequest: key = 1, value = 2.
class EtcdChanges final : public Changes {
 public:
  explicit EtcdChanges(int client) : key_(absl::StrCat("bench/", client)) {}
  std::string method() const override { return "/etcdserverpb.KV/Put"; }
  rpc::BytesList Next() override {
    const std::string value = absl::StrCat(++value_);
    return {
        Bytes::FromString(absl::StrCat("\x0a", Length(key_), key_, "\x12", Length(value), value))};
  }
  absl::Status Check(const Bytes&) const override { return absl::OkStatus(); }

 private:
  static std::string Length(const std::string& text) {
    return std::string(1, static_cast<char>(text.size()));
  }

  const std::string key_;
  int64_t value_ = 10'000'000;
};

// When the first of several calls was acknowledged. Thread: `done` is the executor's.
struct First {
  bool done = false;
  std::promise<double> at;
};

// One who changes something, again and again. Its calls end on the executor.
class Client {
 public:
  Client(int number, const std::string& address, std::unique_ptr<Changes> changes,
         rpc::ChannelPool* channels, rpc::CompletionQueueExecutor* executor)
      : changes_(std::move(changes)),
        channel_(channels->Get(absl::StrCat("quorum-probe-", number), address)),
        executor_(executor) {}

  // One change; its answer.
  absl::Status Once(absl::Duration timeout) {
    std::promise<absl::Status> done;
    rpc::StartUnary(executor_, channel_, changes_->method(), changes_->Next(), {.timeout = timeout},
                    [&](absl::StatusOr<Bytes> answer) {
                      done.set_value(answer.ok() ? changes_->Check(*answer) : answer.status());
                    });
    return done.get_future().get();
  }
  // One change; tells `first` if it is acknowledged, and nobody if it is not.
  void Try(std::shared_ptr<First> first) {
    rpc::StartUnary(executor_, channel_, changes_->method(), changes_->Next(),
                    {.timeout = absl::Seconds(10)}, [this, first](absl::StatusOr<Bytes> answer) {
                      if (!answer.ok() || !changes_->Check(*answer).ok() || first->done) return;
                      first->done = true;
                      first->at.set_value(Seconds());
                    });
  }
  // Changes until `end`; times of those that began after `begin` are kept.
  void Begin(double begin, double end) {
    begin_ = begin;
    end_ = end;
    Next();
  }
  std::vector<double> Wait() {
    done_.get_future().get();
    return std::move(times_);
  }

 private:
  void Next() {
    const double start = Seconds();
    if (start >= end_) return done_.set_value();
    rpc::StartUnary(executor_, channel_, changes_->method(), changes_->Next(),
                    {.timeout = absl::Seconds(10)}, [this, start](absl::StatusOr<Bytes> answer) {
                      const absl::Status status =
                          answer.ok() ? changes_->Check(*answer) : answer.status();
                      if (!status.ok()) Die(std::string(status.message()));
                      if (start >= begin_) times_.push_back(Seconds() - start);
                      Next();
                    });
  }

  const std::unique_ptr<Changes> changes_;
  const std::shared_ptr<grpc::Channel> channel_;
  rpc::CompletionQueueExecutor* const executor_;
  double begin_ = 0;
  double end_ = 0;
  std::vector<double> times_;
  std::promise<void> done_;
};

class Probe {
 public:
  ~Probe() { executor_.Shutdown(); }

  Json Changes(const Options& options) {
    const std::string target = options.Text("target");
    const int count = static_cast<int>(options.Number("clients", 1));
    const double seconds = options.Number("seconds", 5);
    for (int i = 0; i < count; ++i) {
      clients_.push_back(MakeClient(i, target, options.Text("address"),
                                    target == "etcd" ? "" : options.Text("topic")));
      if (absl::Status status = clients_.back()->Once(absl::Seconds(10)); !status.ok()) {
        Die(std::string(status.message()));
      }
    }
    const double begin = Seconds() + kWarmUpSeconds;
    for (auto& client : clients_) client->Begin(begin, begin + seconds);
    std::vector<double> times;
    for (auto& client : clients_) {
      const std::vector<double> own = client->Wait();
      times.insert(times.end(), own.begin(), own.end());
    }
    if (times.empty()) Die("no change was acknowledged");
    Json json = PercentilesUs(times);
    json["per_s"] = static_cast<double>(times.size()) / seconds;
    return json;
  }

  Json Topics(const Options& options) {
    const int topics = static_cast<int>(options.Number("topics", 10));
    const int partitions = static_cast<int>(options.Number("partitions", 1000));
    const std::string address = options.Text("address");
    std::vector<double> times;
    const double begin = Seconds();
    for (int i = 0; i < topics; ++i) {
      v1::CreateTopicsRequest request;
      v1::CreatableTopic* topic = request.add_topics();
      topic->set_name(absl::StrCat("probe-", static_cast<int64_t>(begin * 1e3), "-", i));
      topic->set_partitions(partitions);
      topic->set_replication_factor(3);
      const double start = Seconds();
      const auto response = Call<v1::CreateTopicsResponse>(address, "CreateTopics", request);
      if (!response.ok()) Die(std::string(response.status().message()));
      if (response->topics(0).code() != 0) Die(response->topics(0).message());
      times.push_back(Seconds() - start);
    }
    Json json = PercentilesUs(times);
    json["partitions_per_s"] = topics * partitions / (Seconds() - begin);
    return json;
  }

  Json NextCommit(const Options& options) {
    const std::vector<std::string> addresses = absl::StrSplit(options.Text("addresses"), ',');
    for (size_t i = 0; i < addresses.size(); ++i) {
      clients_.push_back(
          MakeClient(static_cast<int>(i), "millrace", addresses[i], options.Text("topic")));
      // Through each, while the leader is there: connections are made, as those of clients are.
      if (absl::Status status = clients_.back()->Once(absl::Seconds(10)); !status.ok()) {
        Die(std::string(status.message()));
      }
    }
    const int signal = static_cast<int>(options.Number("signal", SIGKILL));
    if (kill(static_cast<pid_t>(options.Number("pid", 0)), signal) != 0) Die("cannot signal");
    const double start = Seconds();
    // Shared with calls that end after the first one that succeeds.
    const auto first = std::make_shared<First>();
    std::future<double> acknowledged = first->at.get_future();
    for (int tries = 1;; ++tries) {
      clients_[static_cast<size_t>(tries) % clients_.size()]->Try(first);
      if (acknowledged.wait_for(kTryEvery) == std::future_status::ready) {
        return {{"ms", (acknowledged.get() - start) * 1e3}, {"tries", tries}};
      }
      if (Seconds() - start > 30) Die("no change was acknowledged in 30 s");
    }
  }

 private:
  std::unique_ptr<Client> MakeClient(int number, const std::string& target,
                                     const std::string& address, const std::string& topic) {
    std::unique_ptr<bench::Changes> changes;
    if (target == "etcd") {
      changes = std::make_unique<EtcdChanges>(number);
    } else if (target == "millrace") {
      changes = std::make_unique<MillraceChanges>(topic);
    } else {
      Die("there is no target '" + target + "'");
    }
    return std::make_unique<Client>(number, address, std::move(changes), &channels_, &executor_);
  }

  template <class Response>
  absl::StatusOr<Response> Call(const std::string& address, const std::string& method,
                                const google::protobuf::MessageLite& request) {
    std::promise<absl::StatusOr<Response>> answer;
    rpc::StartUnaryTyped<Response>(
        &executor_, channels_.Get("quorum-probe", address), absl::StrCat(kAdminService, method),
        request, {}, [&](absl::StatusOr<Response> got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  }

  const SystemClock clock_{};
  // Live as long as calls of theirs may end.
  std::vector<std::unique_ptr<Client>> clients_;
  rpc::ChannelPool channels_{rpc::ChannelOptions{}};
  rpc::CompletionQueueExecutor executor_{&clock_, "quorum-probe"};
};

int Run(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const Options options(argc, argv, 2);
  Probe probe;
  Json json;
  if (mode == "changes") {
    json = probe.Changes(options);
  } else if (mode == "topics") {
    json = probe.Topics(options);
  } else if (mode == "next-commit") {
    json = probe.NextCommit(options);
  } else {
    Die("say what to measure: changes, topics or next-commit");
  }
  std::cout << json.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) { return millrace::bench::Run(argc, argv); }
