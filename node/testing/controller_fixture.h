// ControllerFixture: the controller of node 1 on a simulated disk, for tests of what stands on it.
// Who else votes, and how they answer, a test says; without others it leads alone.
//
// Thread: the test's one.
#ifndef NODE_TESTING_CONTROLLER_FIXTURE_H_
#define NODE_TESTING_CONTROLLER_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "node/controller_host.h"
#include "node/metadata_dir.h"

namespace millrace::node {

class ControllerFixture : public ::testing::Test {
 protected:
  // The founding voters: this one, at that address, and these.
  void Open(const std::string& address = "", std::vector<raft::Voter> others = {},
            raft::Transport* transport = nullptr) {
    ASSERT_OK_AND_ASSIGN(dir_, MetadataDir::Open(&files_, "m", NodeId(1), &random_));
    others.insert(others.begin(), raft::Voter{Self(), address});
    QuorumPlace place;
    place.founders.voters = std::move(others);
    place.transport = transport;
    OpenHost(&files_, std::move(place));
  }
  // REQUIRES: dir_, which lies in `files`.
  void OpenHost(FileSystem* files, QuorumPlace place) {
    ASSERT_OK_AND_ASSIGN(
        host_, ControllerHost::Open(*dir_, NodeId(1), std::make_shared<controller::Settings>(),
                                    std::move(place),
                                    {.files = files,
                                     .clock = &clock_,
                                     .random = &random_,
                                     .metrics = &metrics_,
                                     .owner = owner_.get(),
                                     .disk = disk_.get(),
                                     .image_disk = disk_.get(),
                                     .leaders = &leaders_,
                                     .election_random = std::make_unique<sim::SimRandom>(3)}));
  }
  // Starts it, and waits until it leads.
  void Lead() {
    bool led = false;
    owner_->RunNow([&] { host_->Start([&] { led = true; }, [](const absl::Status&) {}); });
    ASSERT_TRUE(loop_.RunUntil([&] { return led; }, absl::Seconds(20)));
  }
  void TearDown() override {
    host_.reset();
    owner_->Shutdown();
    disk_->Shutdown();
  }

  // REQUIRES: dir_.
  raft::VoterId Self() const { return {NodeId(1), dir_->directory_id()}; }
  // Another node's voter on one of its directories.
  static raft::VoterId Id(int node, uint64_t directory = 1) {
    return {NodeId(node), DirectoryId(Uuid(static_cast<uint64_t>(node), directory))};
  }
  const raft::VoterSet& voters() const { return host_->log().node().voters(); }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{1};
  sim::SimFileSystem files_;
  MetricRegistry metrics_;
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner", &clock_);
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk", &clock_);
  controller::LeaderWatch leaders_;
  std::unique_ptr<MetadataDir> dir_;
  std::unique_ptr<ControllerHost> host_;
};

}  // namespace millrace::node

#endif  // NODE_TESTING_CONTROLLER_FIXTURE_H_
