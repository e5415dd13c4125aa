// A crash image before every mutating file-system call of a workload, with unsynced data kept, lost
// or torn: what recovery makes of each must be legal (S-08): every acknowledged batch is there with
// exactly its bytes, and nothing is there that was never staged.

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/sim/sample_step.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

// What the world may expect of one replica at some moment.
struct ReplicaModel {
  // By base offset: end and bytes of what is staged now.
  std::map<Offset, std::pair<Offset, std::string>> batches;
  // Everything that was ever staged.
  std::set<std::string> ever;
  Offset durable;
  // The log start: at least what was said to be durable, at most what was asked for.
  Offset log_start_min;
  Offset log_start_max;
  bool may_be_missing = true;
  bool may_be_there = true;
};

struct Model {
  std::map<TopicPartition, ReplicaModel> replicas;
  bool may_be_clean = true;
  bool must_be_clean = false;
  bool may_fail_to_open = false;
};

// Splits what a log returns into batches.
std::vector<std::string> Batches(const std::string& all) {
  std::vector<std::string> batches;
  Slice rest = all;
  while (!rest.empty()) {
    const auto batch = record::BatchView::Parse(rest);
    if (!batch.ok()) {
      ADD_FAILURE() << batch.status();
      break;
    }
    batches.emplace_back(batch->bytes());
    rest.remove_prefix(batch->size());
  }
  return batches;
}

void CheckReplica(LogFixture& world, const ReplicaReport& report, const ReplicaModel& model) {
  ASSERT_OK(report.status);
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log,
                       world.OpenLog(report.topic_partition, report.topic_name));
  EXPECT_GE(log->log_start_offset(), model.log_start_min);
  EXPECT_LE(log->log_start_offset(), model.log_start_max);
  EXPECT_GE(log->end_offset(), model.durable);
  std::map<Offset, std::string> found;
  if (log->end_offset() > log->log_start_offset()) {
    for (const std::string& bytes :
         Batches(ReadAll(*log, log->log_start_offset(), log->end_offset(), 300))) {
      found[record::BatchView::Parse(bytes)->base_offset()] = bytes;
      EXPECT_TRUE(model.ever.count(bytes)) << "a batch that was never staged";
    }
  }
  for (const auto& [base, batch] : model.batches) {
    if (batch.first > model.durable || batch.first <= log->log_start_offset()) continue;
    EXPECT_EQ(found[base], batch.second) << "acknowledged batch at " << base;
  }
  // It can be appended to, and what is appended survives the next stop.
  const Offset end = log->end_offset();
  ASSERT_OK(log->StageAsLeader(MakeBatch("after"), LeaderEpoch(100), world.Now()));
  world.RunBriefly();
  if (log->config().durability == Durability::kDurable) {
    EXPECT_EQ(log->durable_offset(), end + 1);
  }
}

void CheckImage(std::unique_ptr<sim::SimFileSystem> image, const Model& model) {
  std::shared_ptr<sim::SimFileSystem> files = std::move(image);
  std::map<TopicPartition, Offset> ends;
  for (int attempt = 0; attempt < 2; ++attempt) {
    LogFixture world(files);
    ASSERT_OK(world.Open());
    if (attempt == 0) {
      if (world.dir->opened().clean) {
        EXPECT_TRUE(model.may_be_clean);
      }
      if (model.must_be_clean) {
        EXPECT_TRUE(world.dir->opened().clean);
      }
    }
    std::set<TopicPartition> there;
    for (const ReplicaReport& report : world.dir->opened().replicas) {
      there.insert(report.topic_partition);
      if (attempt == 1) {
        EXPECT_OK(report.status);
        if (ends.count(report.topic_partition)) {
          EXPECT_GE(report.end_offset, ends[report.topic_partition]);
        }
      }
    }
    if (attempt == 1) break;
    ASSERT_OK(world.Begin(50));
    for (const ReplicaReport& report : world.dir->opened().replicas) {
      const auto replica = model.replicas.find(report.topic_partition);
      ASSERT_NE(replica, model.replicas.end()) << report.topic_name;
      EXPECT_TRUE(replica->second.may_be_there) << report.topic_partition;
      CheckReplica(world, report, replica->second);
      if (testing::Test::HasFatalFailure()) return;
      ends[report.topic_partition] = report.end_offset + 1;
    }
    for (const auto& [topic_partition, replica] : model.replicas) {
      if (!replica.may_be_missing) {
        EXPECT_TRUE(there.count(topic_partition)) << topic_partition;
      }
    }
  }
}

class CrashImageTest : public testing::Test {
 protected:
  void SetUp() override {
    files_->SetOnCall([this](const sim::SimCall& call) { OnCall(call); });
    Restart();
  }
  void TearDown() override {
    logs_.clear();
    world_.reset();
    std::printf("%d images of %d calls\n", images_, calls_);
  }

  void OnCall(const sim::SimCall& call) {
    if (testing::Test::HasFailure()) return;
    if (static_cast<uint64_t>(++calls_) % sim::SampleStep() != 0) return;
    const Model model = Now();
    SCOPED_TRACE(call.ToString());
    for (int i = 0; i < 6; ++i) {
      const sim::CrashMode mode = i == 0   ? sim::CrashMode::kKeepAll
                                  : i == 1 ? sim::CrashMode::kLoseAll
                                           : sim::CrashMode::kTorn;
      sim::SimRandom random(call.number * 10 + static_cast<uint64_t>(i));
      SCOPED_TRACE(i);
      CheckImage(files_->CrashImage(mode, random), model);
      ++images_;
      if (testing::Test::HasFailure()) return;
    }
  }

  // What is acknowledged is what the logs have said.
  Model Now() {
    Model model = model_;
    for (auto& [topic_partition, log] : logs_) {
      ReplicaModel& replica = model.replicas[topic_partition];
      replica.durable = log->durable_offset();
      replica.log_start_min = std::max(replica.log_start_min, log->durable_log_start());
    }
    return model;
  }

  void Restart() {
    for (auto& [topic_partition, log] : logs_) {
      model_.replicas[topic_partition].durable = log->durable_offset();
    }
    logs_.clear();
    world_.reset();
    world_ = std::make_unique<LogFixture>(files_);
    world_->config.segment_bytes = 600;
    world_->config.index_interval_bytes = 150;
    world_->config.preallocate_bytes_min = 256;
    world_->config.preallocate_bytes_max = 1024;
    world_->config.file_delete_delay_ms = 10;
    world_->options.journal_bytes_max = 2000;
    // Recovery points often, so that images fall around them.
    world_->options.checkpoint_interval = absl::Milliseconds(2);
    world_->options.checkpoint_bytes_min = 150;
    ASSERT_OK(world_->Open());
    model_.must_be_clean = false;
    ++epoch_;
    ASSERT_OK(world_->Begin(epoch_));
    model_.may_be_clean = false;
  }

  static TopicPartition Tp(int topic) { return {TopicId(Uuid(1, topic)), PartitionIndex(0)}; }

  Log& Open(int topic, const std::string& name, Durability durability = Durability::kDurable) {
    world_->config.durability = durability;
    ReplicaModel& replica = model_.replicas[Tp(topic)];
    auto log = world_->OpenLog(Tp(topic), name);
    EXPECT_OK(log);
    replica.may_be_missing = false;
    logs_[Tp(topic)] = *std::move(log);
    return *logs_[Tp(topic)];
  }

  void Stage(int topic, int count, LeaderEpoch epoch) {
    Log& log = *logs_[Tp(topic)];
    ReplicaModel& replica = model_.replicas[Tp(topic)];
    for (int i = 0; i < count; ++i) {
      const std::string value =
          absl::StrCat("topic", topic, " ", sequence_, " ", std::string(sequence_ % 7 * 20, 'x'));
      const auto range = log.StageAsLeader(
          MakeBatch(value, 1 + sequence_ % 3, kTestTime + sequence_, ProducerId(topic)), epoch,
          world_->Now());
      ASSERT_OK(range);
      ++sequence_;
      const std::string bytes = ReadAll(log, range->base_offset, range->end_offset);
      replica.batches[range->base_offset] = {range->end_offset, bytes};
      replica.ever.insert(bytes);
      if (i % 3 == 2) world_->RunBriefly();
    }
    world_->RunBriefly();
  }

  void Truncate(int topic, Offset to) {
    ReplicaModel& replica = model_.replicas[Tp(topic)];
    replica.batches.erase(replica.batches.lower_bound(to), replica.batches.end());
    logs_[Tp(topic)]->TruncateTo(to, Offset(0));
  }

  void RaiseLogStart(int topic, Offset to) {
    ReplicaModel& replica = model_.replicas[Tp(topic)];
    replica.log_start_max = std::max(replica.log_start_max, to);
    logs_[Tp(topic)]->RaiseLogStart(to, [this, topic, to](const absl::Status& status) {
      ASSERT_OK(status);
      model_.replicas[Tp(topic)].log_start_min = to;
    });
  }

  void Delete(int topic) {
    logs_.erase(Tp(topic));
    ReplicaModel& replica = model_.replicas[Tp(topic)];
    replica.may_be_missing = true;
    ASSERT_OK(world_->Await([&](LogDir::Done done) {
      world_->dir->DeleteReplica(Tp(topic), world_->shard.get(), std::move(done));
    }));
    replica.may_be_there = false;
  }

  void SetAside(int topic) {
    model_.replicas[Tp(topic)].durable = logs_[Tp(topic)]->durable_offset();
    logs_.erase(Tp(topic));
    ASSERT_OK(world_->Await([&](LogDir::Done done) {
      world_->dir->MarkStray(Tp(topic), world_->shard.get(), std::move(done));
    }));
  }

  void CloseAll() {
    model_.may_be_clean = true;
    for (auto& [topic_partition, log] : logs_) ASSERT_OK(world_->Close(*log));
    ASSERT_OK(world_->CloseDir());
    model_.must_be_clean = true;
  }

  // The batch boundary at about `fraction` of the log.
  Offset Boundary(int topic, double fraction) {
    const auto& batches = model_.replicas[Tp(topic)].batches;
    auto at = batches.begin();
    std::advance(at, static_cast<int>(static_cast<double>(batches.size()) * fraction));
    return at->first;
  }

  std::shared_ptr<sim::SimFileSystem> files_ = std::make_shared<sim::SimFileSystem>(3);
  std::unique_ptr<LogFixture> world_;
  std::map<TopicPartition, std::unique_ptr<Log>> logs_;
  Model model_;
  int64_t epoch_ = 0;
  int sequence_ = 0;
  int images_ = 0;
  int calls_ = 0;
};

TEST_F(CrashImageTest, AppendRollAndIdleSeal) {
  Open(1, "a");
  Stage(1, 25, LeaderEpoch(1));
  world_->Run();
  Open(2, "b", Durability::kReplicated);
  Stage(2, 12, LeaderEpoch(1));
  Stage(1, 5, LeaderEpoch(2));
  world_->Run(absl::Seconds(70));
  Stage(1, 3, LeaderEpoch(2));
}

TEST_F(CrashImageTest, UncleanAndCleanRestarts) {
  Open(1, "a");
  Open(2, "b", Durability::kReplicated);
  Stage(1, 8, LeaderEpoch(1));
  Stage(2, 8, LeaderEpoch(1));
  Restart();
  Open(1, "a");
  Open(2, "b", Durability::kReplicated);
  Stage(1, 6, LeaderEpoch(2));
  Stage(2, 6, LeaderEpoch(2));
  CloseAll();
  Restart();
  Open(1, "a");
  Stage(1, 3, LeaderEpoch(3));
  CloseAll();
  Restart();
}

TEST_F(CrashImageTest, Truncation) {
  Open(1, "a");
  Stage(1, 20, LeaderEpoch(1));
  Truncate(1, Boundary(1, 0.9));
  Stage(1, 3, LeaderEpoch(2));
  world_->Run();
  Truncate(1, Boundary(1, 0.4));
  world_->RunBriefly();
  Stage(1, 10, LeaderEpoch(4));
  Truncate(1, Boundary(1, 0.8));
  Truncate(1, Boundary(1, 0.5));
  Stage(1, 4, LeaderEpoch(5));
  CloseAll();
  Restart();
  Open(1, "a");
  Truncate(1, Boundary(1, 0.3));
  Stage(1, 4, LeaderEpoch(6));
}

TEST_F(CrashImageTest, RetentionAndPrefixDeletion) {
  Open(1, "a");
  Stage(1, 20, LeaderEpoch(1));
  RaiseLogStart(1, Boundary(1, 0.3));
  world_->RunBriefly();
  Stage(1, 3, LeaderEpoch(1));
  Log& log = *logs_[Tp(1)];
  log.SetHighWatermark(log.end_offset());
  LogConfig config = log.config();
  config.retention_bytes = 700;
  log.SetConfig(config);
  model_.replicas[Tp(1)].log_start_max = log.end_offset();
  EXPECT_GT(log.Housekeep(world_->Now()), 0);
  world_->Run();
  Stage(1, 3, LeaderEpoch(2));
  RaiseLogStart(1, log.end_offset());
  world_->Run();
  Stage(1, 2, LeaderEpoch(2));
}

TEST_F(CrashImageTest, PartitionsAreDeletedAndMadeAgain) {
  Open(1, "a");
  Open(2, "b");
  Stage(1, 6, LeaderEpoch(1));
  Stage(2, 3, LeaderEpoch(1));
  Delete(1);
  Open(3, "a");
  Stage(3, 6, LeaderEpoch(1));
  Stage(2, 2, LeaderEpoch(1));
  Delete(2);
  Open(4, "b");
  world_->Run();
  Restart();
  Open(4, "b");
  Delete(3);
  Stage(4, 2, LeaderEpoch(1));
}

TEST_F(CrashImageTest, APartitionIsDeletedAndComesBack) {
  Open(1, "a");
  Stage(1, 6, LeaderEpoch(1));
  Delete(1);
  model_.replicas[Tp(1)] = ReplicaModel();
  Open(1, "a");
  Stage(1, 4, LeaderEpoch(2));
  Restart();
  Open(1, "a");
  Stage(1, 2, LeaderEpoch(3));
}

// Every image is opened in full, which takes back what lies aside in it.
TEST_F(CrashImageTest, PartitionsAreSetAsideAndTakenBack) {
  Open(1, "a");
  Open(2, "b", Durability::kReplicated);
  Stage(1, 8, LeaderEpoch(1));
  Stage(2, 4, LeaderEpoch(1));
  SetAside(1);
  SetAside(2);
  Open(1, "a");
  Stage(1, 3, LeaderEpoch(2));
  SetAside(1);
  Restart();
  Open(1, "a");
  Truncate(1, Boundary(1, 0.5));
  Stage(1, 3, LeaderEpoch(3));
  CloseAll();
  Restart();
  Open(2, "b", Durability::kReplicated);
  Stage(2, 2, LeaderEpoch(2));
  SetAside(2);
  Open(1, "a");
  Stage(1, 2, LeaderEpoch(3));
}

TEST_F(CrashImageTest, AFollowerBelowItsLeadersStartBeginsAgain) {
  Open(1, "a");
  Stage(1, 12, LeaderEpoch(1));
  ReplicaModel& replica = model_.replicas[Tp(1)];
  replica.log_start_max = Offset(1000);
  replica.batches.clear();
  // Until it is said to be durable, the old log may be found.
  logs_[Tp(1)]->ResetTo(Offset(1000));
  world_->RunBriefly();
  EXPECT_EQ(logs_[Tp(1)]->durable_offset(), Offset(1000));
  EXPECT_EQ(logs_[Tp(1)]->durable_log_start(), Offset(1000));
  Stage(1, 8, LeaderEpoch(2));
}

TEST_F(CrashImageTest, AFollowerThatHasNoFilesYetBeginsAgainBelowItsEnd) {
  Open(1, "a");
  ReplicaModel& replica = model_.replicas[Tp(1)];
  replica.log_start_max = Offset(100);
  logs_[Tp(1)]->ResetTo(Offset(100));
  logs_[Tp(1)]->ResetTo(Offset(5));
  world_->RunBriefly();
  EXPECT_EQ(logs_[Tp(1)]->durable_log_start(), Offset(5));
  replica.log_start_max = Offset(5);
  Stage(1, 8, LeaderEpoch(1));
}

TEST_F(CrashImageTest, AFollowerWithNothingInCommonBeginsAgainWithinItsLog) {
  Open(1, "a");
  Stage(1, 12, LeaderEpoch(1));
  ReplicaModel& replica = model_.replicas[Tp(1)];
  // Emptied first; but it never begins elsewhere, where a follower would go on behind a hole.
  replica.log_start_max = Offset(5);
  replica.batches.clear();
  logs_[Tp(1)]->ResetTo(Offset(5));
  world_->RunBriefly();
  EXPECT_EQ(logs_[Tp(1)]->durable_log_start(), Offset(5));
  replica.log_start_max = Offset(5);
  Stage(1, 8, LeaderEpoch(2));
}

TEST_F(CrashImageTest, AFollowerBeginsAgainWhileWhatItHadIsUnderWay) {
  Open(1, "a");
  Stage(1, 6, LeaderEpoch(1));
  Log& log = *logs_[Tp(1)];
  ReplicaModel& replica = model_.replicas[Tp(1)];
  const Offset durable = log.durable_offset();
  for (int i = 0; i < 4; ++i) {
    const auto range = log.StageAsLeader(MakeBatch("under way", 10), LeaderEpoch(1), world_->Now());
    ASSERT_OK(range);
    replica.ever.insert(ReadAll(log, range->base_offset, range->end_offset));
  }
  // Neither what is written now nor that it is emptied makes any of it durable that comes after.
  const Offset start = durable + 25;
  replica.log_start_max = start;
  replica.batches.clear();
  log.ResetTo(start);
  EXPECT_EQ(log.durable_offset(), durable);
  EXPECT_EQ(log.durable_log_start(), Offset(0));
  world_->RunBriefly();
  EXPECT_EQ(log.durable_log_start(), start);
  Stage(1, 8, LeaderEpoch(2));
}

}  // namespace
}  // namespace millrace::storage
