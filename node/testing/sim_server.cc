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

SimServer::SimServer(SimLoop* loop, SimRandom random, ConfigValues config)
    : loop_(loop),
      random_(random),
      config_(std::move(config)),
      clock_(loop->time(), MonotonicTime::FromNanos(1'000'000'000)),
      disk_(std::make_unique<SimFileSystem>(random_.Next())) {}

SimServer::~SimServer() { DestroyProcess(); }

void SimServer::Start() {
  CHECK(process_ == nullptr) << "a process runs already";
  ++incarnation_;
  started_.reset();
  process_ = std::make_unique<Process>();
  Process& process = *process_;
  const absl::StatusOr<node::NodeConfig> config = node::ParseNodeConfig(config_, kDataDir);
  CHECK_OK(config);
  process.budget = std::make_unique<MemoryBudget>(config->settings.memory_budget_bytes);
  process.random = std::make_unique<SimRandom>(random_.Next());
  for (int i = 0; i < std::max<int>(1, static_cast<int>(config->settings.num_shards)); ++i) {
    process.shards.push_back(loop_->MakeExecutor(absl::StrCat("shard-", i), &clock_));
  }
  process.controller = loop_->MakeExecutor("controller", &clock_);
  process.cold_reads = loop_->MakeExecutor("cold-reads", &clock_);
  Env& env = process.env;
  env.clock = &clock_;
  env.files = disk_.get();
  env.random = process.random.get();
  env.metrics = &process.metrics;
  env.budget = process.budget.get();
  for (const auto& shard : process.shards) env.shards.push_back(shard.get());
  env.controller = process.controller.get();
  env.cold_reads = process.cold_reads.get();
  env.make_disk_executor = [this](const std::string& name) -> std::unique_ptr<Executor> {
    return loop_->MakeExecutor(name, &clock_);
  };
  env.make_random = [this] { return std::make_unique<SimRandom>(process_->random->Next()); };
  process.node =
      std::make_unique<node::Node>(*config, env, &authorizer_, [this](const std::string&) {
        return absl::StatusOr<std::unique_ptr<storage::KvStore>>(
            std::make_unique<BorrowedKvStore>(&images_));
      });
  if (const absl::Status opened = process.node->Open(); !opened.ok()) {
    started_ = opened;
    return;
  }
  process.node->Start(config->advertised, [this](absl::Status status) { started_ = status; });
}

void SimServer::DestroyProcess() {
  disk_->SetOnCall(nullptr);
  armed_image_.reset();
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
