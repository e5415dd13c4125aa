#include "node/testing/sim_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "node/config.h"

namespace millrace::sim {
namespace {

constexpr char kDataDir[] = "data";
constexpr absl::Duration kDrain = absl::Seconds(2);
// How much of the image store's latest writes a power loss may take.
constexpr uint64_t kImageWritesLostMax = 3;

// A store that outlives the process that uses it, as the files of a real one do.
class BorrowedKvStore final : public storage::KvStore {
 public:
  explicit BorrowedKvStore(storage::KvStore* store) : store_(store) {}
  absl::Status Write(const storage::WriteBatch& batch) override { return store_->Write(batch); }
  absl::StatusOr<std::optional<std::string>> Get(Slice key) const override {
    return store_->Get(key);
  }
  absl::Status ForEach(Slice prefix, const Visitor& visit) const override {
    return store_->ForEach(prefix, visit);
  }
  absl::Status Clear() override { return store_->Clear(); }

 private:
  storage::KvStore* const store_;
};

}  // namespace

// One that the node owns and the machine can pause.
class SimServer::DiskExecutor final : public Executor {
 public:
  DiskExecutor(std::vector<SimExecutor*>* all, std::unique_ptr<SimExecutor> executor)
      : all_(all), executor_(std::move(executor)) {
    all_->push_back(executor_.get());
  }
  ~DiskExecutor() override { std::erase(*all_, executor_.get()); }
  void Post(Task task) override { executor_->Post(std::move(task)); }
  void PostAt(MonotonicTime when, Task task) override { executor_->PostAt(when, std::move(task)); }
  bool IsCurrent() const override { return executor_->IsCurrent(); }

 private:
  std::vector<SimExecutor*>* const all_;
  const std::unique_ptr<SimExecutor> executor_;
};

SimServer::SimServer(SimLoop* loop, SimRandom random, ConfigValues config, std::string name)
    : loop_(loop),
      random_(random),
      config_(std::move(config)),
      name_(std::move(name)),
      clock_(loop->time(), MonotonicTime::FromNanos(1'000'000'000)),
      disk_(std::make_unique<SimFileSystem>(random_.Next())) {}

SimServer::~SimServer() { DestroyProcess(); }

void SimServer::MakeEnv(const node::NodeConfig& config) {
  Process& process = *process_;
  const auto make = [this](const std::string& name) {
    return loop_->MakeExecutor(absl::StrCat(name_, name), &clock_);
  };
  process.budget = std::make_unique<MemoryBudget>(config.settings.memory_budget_bytes);
  process.random = std::make_unique<SimRandom>(random_.Next());
  for (int i = 0; i < std::max<int>(1, static_cast<int>(config.settings.num_shards)); ++i) {
    process.shards.push_back(make(absl::StrCat("shard-", i)));
  }
  process.controller = make("controller");
  process.cold_reads = make("cold-reads");
  Env& env = process.env;
  env.clock = &clock_;
  env.files = disk_.get();
  env.random = process.random.get();
  env.metrics = &process.metrics;
  env.budget = process.budget.get();
  for (const auto& shard : process.shards) env.shards.push_back(shard.get());
  env.controller = process.controller.get();
  env.cold_reads_of = [cold = process.cold_reads.get()](const std::string&) { return cold; };
  env.make_disk_executor =
      [make, all = &process.disks](const std::string& name) -> std::unique_ptr<Executor> {
    return std::make_unique<DiskExecutor>(all, make(name));
  };
  env.make_random = [this] { return std::make_unique<SimRandom>(process_->random->Next()); };
}

void SimServer::Start() {
  CHECK(process_ == nullptr) << "a process runs already";
  ++incarnation_;
  started_.reset();
  process_ = std::make_unique<Process>();
  const absl::StatusOr<node::NodeConfig> config = node::ParseNodeConfig(config_, kDataDir);
  CHECK_OK(config);
  MakeEnv(*config);
  Process& process = *process_;
  process.node = std::make_unique<node::Node>(
      *config, process.env, &authorizer_,
      [this](const std::string&) {
        return absl::StatusOr<std::unique_ptr<storage::KvStore>>(
            std::make_unique<BorrowedKvStore>(&images_));
      },
      network_ ? network_() : node::Node::Network());
  if (const absl::Status opened = process.node->Open(); !opened.ok()) {
    started_ = opened;
    return;
  }
  process.node->Start(config->advertised, [this](absl::Status status) {
    started_ = status;
    if (status.ok() && on_serving_) on_serving_();
  });
}

std::vector<SimExecutor*> SimServer::Executors() {
  std::vector<SimExecutor*> all = {process_->controller.get(), process_->cold_reads.get()};
  for (const auto& shard : process_->shards) all.push_back(shard.get());
  all.insert(all.end(), process_->disks.begin(), process_->disks.end());
  return all;
}

void SimServer::Pause() {
  if (process_ == nullptr) return;
  paused_ = true;
  for (SimExecutor* executor : Executors()) executor->Pause();
}

void SimServer::Resume() {
  if (process_ == nullptr || !std::exchange(paused_, false)) return;
  for (SimExecutor* executor : Executors()) executor->Resume();
}

void SimServer::DestroyProcess() {
  disk_->SetOnCall(nullptr);
  armed_image_.reset();
  paused_ = false;
  if (process_ == nullptr) return;
  // Nothing of a dead process runs any more, wherever it was.
  for (const auto& shard : process_->shards) shard->Shutdown();
  process_->controller->Shutdown();
  process_->cold_reads->Shutdown();
  if (on_down_) on_down_();
  process_.reset();
  started_.reset();
}

void SimServer::UseDisk(std::unique_ptr<SimFileSystem> disk) {
  disk_ = std::move(disk);
  disk_->SetLatency(latency_);
}

void SimServer::SetLatency(std::function<void(const SimCall&)> latency) {
  latency_ = std::move(latency);
  disk_->SetLatency(latency_);
}

// The page cache outlives the process, unsynced as it is; its locks and open files ended with it.
void SimServer::Kill() { DestroyProcess(); }

void SimServer::LosePower(CrashMode mode) {
  DestroyProcess();
  UseDisk(disk_->CrashImage(mode, random_));
  images_.LoseLatest(static_cast<int>(random_.Below(kImageWritesLostMax + 1)));
}

void SimServer::Wipe() {
  CHECK(process_ == nullptr) << "the disk is in use";
  UseDisk(std::make_unique<SimFileSystem>(random_.Next()));
}

void SimServer::ArmCrash(uint64_t calls, std::optional<CrashMode> mode) {
  armed_mode_ = mode;
  disk_->SetOnCall([this, left = calls](const SimCall&) mutable {
    if (left > 0) --left;
    if (left > 0 || armed_image_ != nullptr) return;
    // There is no picture of a page cache that is half on the disk: here it just got there.
    armed_image_ = disk_->CrashImage(armed_mode_.value_or(CrashMode::kKeepAll), random_);
  });
}

bool SimServer::CrashIfDue() {
  if (armed_image_ == nullptr) return false;
  std::unique_ptr<SimFileSystem> image = std::move(armed_image_);
  DestroyProcess();
  UseDisk(std::move(image));
  if (armed_mode_) images_.LoseLatest(static_cast<int>(random_.Below(kImageWritesLostMax + 1)));
  return true;
}

void SimServer::Stop(std::function<void(absl::Status)> done) {
  process_->node->Stop(kDrain, std::move(done));
}

}  // namespace millrace::sim
