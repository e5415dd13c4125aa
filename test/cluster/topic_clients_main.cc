// Clients of a real quorum who create, delete, alter and describe a few topics, all at once and
// through any of its servers, until they are told to stop (SIGTERM, SIGINT). Then each topic is
// described once more through each server, and all that was answered must fit into one order
// (test/sim/quorum_history.h). Prints what was done, as one JSON object; exits with 1 if nothing
// explains the answers. For tests that break the quorum meanwhile.
// Usage: topic_clients HOST:PORT,... [CLIENTS [PAUSE_MAX_MS]]
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/error_code.h"
#include "base/status.h"
#include "base/system_random.h"
#include "client/admin.h"
#include "test/sim/quorum_history.h"

namespace millrace::sim {
namespace {

using Kind = TopicCall::Kind;

volatile std::sig_atomic_t stop_asked = 0;

struct Options {
  std::vector<std::string> servers;
  int clients = 6;
  int pause_max_ms = 40;
};

// A topic carries the number of its creation where no call alters it: its id is the cluster's to
// choose, and a creation whose answer was lost is known by this.
constexpr char kNumber[] = "segment.bytes";
constexpr int64_t kNumberBase = 1 << 20;
constexpr char kValue[] = "retention.ms";
constexpr int kNames = 3;
// Of a call with all that is sent again.
constexpr int kCallTimeoutMs = 4000;
constexpr size_t kStepsMax = 20'000'000;

class Clients {
 public:
  explicit Clients(const Options& options) : options_(options) {}

  // Until it is told to stop.
  void RunAll();
  // Asks about each topic through each server. False: one does not answer.
  bool DescribeAll();
  int Judge();

 private:
  // What became of a call.
  struct Outcome {
    enum class Kind { kAnswered, kNotDone, kUnknown };
    Kind kind = Kind::kUnknown;
    TopicAnswer answer = {};
  };

  void RunOne();
  // Whether there was an answer.
  bool CallOnce(client::Admin* admin, TopicCall call);
  TopicCall Draw(Random* random);
  Outcome Ask(client::Admin* admin, const TopicCall& call);
  Outcome Create(client::Admin* admin, const TopicCall& call);
  Outcome Delete(client::Admin* admin, const TopicCall& call);
  Outcome Alter(client::Admin* admin, const TopicCall& call);
  Outcome Describe(client::Admin* admin, const TopicCall& call);
  // Of an answer about one topic.
  Outcome OutcomeOf(int code, const std::string& message, TopicRegister found);
  Outcome OutcomeOf(const absl::Status& status);
  std::unique_ptr<client::Admin> Connect(std::vector<std::string> servers, int timeout_ms);

  const Options options_;
  std::atomic<uint64_t> last_number_{0};
  std::atomic<int64_t> last_value_{0};

  std::mutex mutex_;
  // All below: under mutex_, which also gives calls and answers their order.
  TopicHistory history_;
  // The numbers of topics whose ids have been told.
  std::map<std::string, uint64_t> numbers_;
  std::map<std::string, int64_t> done_;
  int64_t unknown_ = 0;
  int64_t not_done_ = 0;
  std::map<std::string, int64_t> refusals_;
};

std::unique_ptr<client::Admin> Clients::Connect(std::vector<std::string> servers, int timeout_ms) {
  auto admin = client::Admin::Create(std::move(servers), absl::Milliseconds(timeout_ms));
  CHECK_OK(admin.status());
  return *std::move(admin);
}

void Clients::RunAll() {
  std::vector<std::thread> threads;
  for (int i = 0; i < options_.clients; ++i) threads.emplace_back([this] { RunOne(); });
  for (std::thread& thread : threads) thread.join();
}

void Clients::RunOne() {
  SystemRandom random;
  // Some through one server alone, some through whichever answers.
  std::vector<std::unique_ptr<client::Admin>> admins;
  for (const std::string& server : options_.servers) {
    admins.push_back(Connect({server}, kCallTimeoutMs));
  }
  admins.push_back(Connect(options_.servers, kCallTimeoutMs));
  while (stop_asked == 0) {
    CallOnce(admins[random.Below(admins.size())].get(), Draw(&random));
    std::this_thread::sleep_for(
        std::chrono::milliseconds(random.Below(static_cast<uint64_t>(options_.pause_max_ms) + 1)));
  }
}

bool Clients::DescribeAll() {
  for (const std::string& server : options_.servers) {
    const auto admin = Connect({server}, 60'000);
    for (int i = 0; i < kNames; ++i) {
      const std::string name = absl::StrCat("history-", i);
      if (CallOnce(admin.get(), {.kind = Kind::kDescribe, .name = name})) continue;
      std::fprintf(stderr, "topic_clients: %s does not describe %s\n", server.c_str(),
                   name.c_str());
      return false;
    }
  }
  return true;
}

TopicCall Clients::Draw(Random* random) {
  TopicCall call;
  call.name = absl::StrCat("history-", random->Below(static_cast<uint64_t>(kNames)));
  const uint64_t dice = random->Below(100);
  if (dice < 25) {
    call.kind = Kind::kCreate;
    call.id = ++last_number_;
  } else if (dice < 35) {
    call.kind = Kind::kDelete;
  } else if (dice < 60) {
    call.kind = Kind::kAlter;
  }
  if (dice < 25 || call.kind == Kind::kAlter) call.value = ++last_value_;
  return call;
}

bool Clients::CallOnce(client::Admin* admin, TopicCall call) {
  TopicHistory::CallId id;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = history_.OnCalled(call);
  }
  const Outcome outcome = Ask(admin, call);
  const std::lock_guard<std::mutex> lock(mutex_);
  switch (outcome.kind) {
    case Outcome::Kind::kAnswered:
      if (outcome.answer.done) {
        static constexpr const char* kWhat[] = {"created", "deleted", "altered", "described"};
        ++done_[kWhat[static_cast<int>(call.kind)]];
      }
      history_.OnAnswered(id, outcome.answer);
      return true;
    case Outcome::Kind::kNotDone:
      ++not_done_;
      history_.OnRefused(id);
      return false;
    case Outcome::Kind::kUnknown:
      ++unknown_;
  }
  return false;
}

Clients::Outcome Clients::Ask(client::Admin* admin, const TopicCall& call) {
  switch (call.kind) {
    case Kind::kCreate:
      return Create(admin, call);
    case Kind::kDelete:
      return Delete(admin, call);
    case Kind::kAlter:
      return Alter(admin, call);
    case Kind::kDescribe:
      return Describe(admin, call);
  }
  return {};
}

Clients::Outcome Clients::Create(client::Admin* admin, const TopicCall& call) {
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* topic = request.add_topics();
  topic->set_name(call.name);
  topic->set_partitions(1);
  topic->set_replication_factor(static_cast<int>(1 + call.id % 3));
  const std::map<std::string, int64_t> configs = {
      {kNumber, kNumberBase + static_cast<int64_t>(call.id)}, {kValue, call.value}};
  for (const auto& [name, value] : configs) {
    v1::ConfigEntry* config = topic->add_configs();
    config->set_name(name);
    config->set_value(absl::StrCat(value));
  }
  const auto response = admin->CreateTopics(request);
  if (!response.ok()) return OutcomeOf(response.status());
  const v1::CreateTopicResult& result = response->topics(0);
  if (result.code() == 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    numbers_[result.topic_id()] = call.id;
  }
  return OutcomeOf(result.code(), result.message(), {});
}

Clients::Outcome Clients::Delete(client::Admin* admin, const TopicCall& call) {
  v1::DeleteTopicsRequest request;
  request.add_names(call.name);
  const auto response = admin->DeleteTopics(request);
  if (!response.ok()) return OutcomeOf(response.status());
  const v1::DeleteTopicResult& result = response->topics(0);
  TopicRegister found;
  if (result.code() == 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto known = numbers_.find(result.topic_id());
    if (known != numbers_.end()) found.id = known->second;
  }
  return OutcomeOf(result.code(), result.message(), found);
}

Clients::Outcome Clients::Alter(client::Admin* admin, const TopicCall& call) {
  v1::IncrementalAlterConfigsRequest request;
  v1::AlterConfigsResource* resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(call.name);
  v1::ConfigAlteration* alteration = resource->add_alterations();
  alteration->set_name(kValue);
  alteration->set_operation(v1::CONFIG_OPERATION_SET);
  alteration->set_value(absl::StrCat(call.value));
  const auto response = admin->IncrementalAlterConfigs(request);
  if (!response.ok()) return OutcomeOf(response.status());
  return OutcomeOf(response->resources(0).code(), response->resources(0).message(), {});
}

Clients::Outcome Clients::Describe(client::Admin* admin, const TopicCall& call) {
  v1::DescribeTopicsRequest request;
  request.add_names(call.name);
  const auto response = admin->DescribeTopics(request);
  // A question changes nothing.
  if (!response.ok()) return {.kind = Outcome::Kind::kNotDone};
  const v1::TopicDescription& topic = response->topics(0);
  TopicRegister found;
  for (const v1::ConfigEntry& config : topic.configs()) {
    int64_t value = 0;
    if (config.name() != kNumber && config.name() != kValue) continue;
    CHECK(absl::SimpleAtoi(config.value(), &value));
    if (config.name() == kValue) {
      found.value = value;
    } else {
      found.id = static_cast<uint64_t>(value - kNumberBase);
    }
  }
  if (topic.code() == 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    numbers_[topic.topic_id()] = found.id;
  }
  return OutcomeOf(topic.code(), topic.message(), found);
}

Clients::Outcome Clients::OutcomeOf(int code, const std::string& message, TopicRegister found) {
  switch (static_cast<ErrorCode>(code)) {
    case ErrorCode::kNone:
      return {Outcome::Kind::kAnswered, {.done = true, .found = found}};
    case ErrorCode::kTopicAlreadyExists:
    case ErrorCode::kUnknownTopicOrPartition:
      return {Outcome::Kind::kAnswered, {.done = false}};
    default: {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++refusals_[message];
      return {.kind = Outcome::Kind::kNotDone};
    }
  }
}

Clients::Outcome Clients::OutcomeOf(const absl::Status& status) {
  // No server that was asked has begun.
  if (CodeOf(status) == ErrorCode::kBrokerNotAvailable) return {.kind = Outcome::Kind::kNotDone};
  return {};
}

int Clients::Judge() {
  std::printf("{");
  for (const auto& [what, count] : done_) {
    std::printf("\"%s\": %lld, ", what.c_str(), static_cast<long long>(count));
  }
  std::printf("\"not_done\": %lld, \"unknown\": %lld}\n", static_cast<long long>(not_done_),
              static_cast<long long>(unknown_));
  for (const auto& [message, count] : refusals_) {
    std::fprintf(stderr, "topic_clients: %lld times: %s\n", static_cast<long long>(count),
                 message.c_str());
  }
  std::string why;
  const TopicHistory::Verdict verdict = history_.Check(kStepsMax, &why);
  if (verdict == TopicHistory::Verdict::kLinearizable) return 0;
  std::fprintf(stderr, "topic_clients: %s: %s\n",
               verdict == TopicHistory::Verdict::kViolated ? "VIOLATION" : "no verdict",
               why.c_str());
  for (int i = 0; i < kNames; ++i) {
    std::fprintf(stderr, "%s", history_.Describe(absl::StrCat("history-", i)).c_str());
  }
  return 1;
}

}  // namespace
}  // namespace millrace::sim

int main(int argc, char** argv) {
  millrace::sim::Options options;
  const bool fits = argc >= 2 && argc <= 4 &&
                    (argc < 3 || absl::SimpleAtoi(argv[2], &options.clients)) &&
                    (argc < 4 || absl::SimpleAtoi(argv[3], &options.pause_max_ms));
  if (!fits) {
    std::fprintf(stderr, "usage: topic_clients HOST:PORT,... [CLIENTS [PAUSE_MAX_MS]]\n");
    return 2;
  }
  options.servers = absl::StrSplit(argv[1], ',');
  std::signal(SIGTERM, [](int) { millrace::sim::stop_asked = 1; });
  std::signal(SIGINT, [](int) { millrace::sim::stop_asked = 1; });
  millrace::sim::Clients clients(options);
  clients.RunAll();
  const bool described = clients.DescribeAll();
  return clients.Judge() == 0 && described ? 0 : 1;
}
