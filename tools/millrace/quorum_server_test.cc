#include "tools/millrace/quorum_server.h"

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "gmock/gmock.h"
#include "rpc/listen_socket.h"

namespace millrace::tools {
namespace {

int FreePort() {
  auto sockets = rpc::Listen({.name = "TEST", .host = "127.0.0.1", .port = 0});
  EXPECT_OK(sockets);
  return sockets->front().address.port;
}

// The network of one controller, in this process.
class Controller {
 public:
  Controller(int node, int port, int other_port) {
    const std::string voters =
        node == 1 ? absl::StrCat("1@127.0.0.1:", port, ",2@127.0.0.1:", other_port)
                  : absl::StrCat("1@127.0.0.1:", other_port, ",2@127.0.0.1:", port);
    const auto config =
        node::ParseNodeConfig({{"node.id", absl::StrCat(node)},
                               {"process.roles", "controller"},
                               {"listeners", absl::StrCat("C://127.0.0.1:0,Q://127.0.0.1:", port)},
                               {"controller.listener.names", "Q"},
                               {"controller.quorum.voters", voters}},
                              "unused");
    EXPECT_OK(config);
    server_ = std::make_unique<QuorumServer>(
        *config, QuorumServer::Dependencies{.security = std::make_shared<const ProcessSecurity>(
                                                *ProcessSecurity::Create(*config)),
                                            .clock = &clock_,
                                            .random = &random_,
                                            .metrics = &metrics_});
    self_ = {NodeId(node), DirectoryId::Draw(random_)};
    server_->SetIdentity(self_, 1);
    OnOwner([&] {
      server_->SetFoundingAnswer([this](const raft::FoundingState&) {
        return raft::FoundingState{.self = self_, .address = "as told"};
      });
    });
  }
  ~Controller() {
    server_->Shutdown(absl::ZeroDuration());
    server_->StopQueues();
  }
  template <class Work>
  void OnOwner(Work work) {
    std::promise<void> done;
    server_->strand()->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  absl::StatusOr<raft::FoundingState> Ask(int port) {
    std::promise<absl::StatusOr<raft::FoundingState>> answered;
    server_->strand()->Post([&] {
      server_->founding().Exchange(
          absl::StrCat("127.0.0.1:", port), raft::FoundingState{.self = self_, .address = "me"},
          [&](absl::StatusOr<raft::FoundingState> state) { answered.set_value(std::move(state)); });
    });
    return answered.get_future().get();
  }
  QuorumServer& server() { return *server_; }
  const raft::VoterId& self() const { return self_; }

 private:
  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  raft::VoterId self_;
  std::unique_ptr<QuorumServer> server_;
};

TEST(QuorumServerTest, S18_ControllersTellEachOtherWhatTheyAreBeforeThereIsACluster) {
  const int ports[] = {FreePort(), FreePort()};
  Controller one(1, ports[0], ports[1]);
  Controller two(2, ports[1], ports[0]);
  ASSERT_OK(one.server().Start());
  ASSERT_OK(two.server().Start());
  ASSERT_OK_AND_ASSIGN(const raft::FoundingState state, one.Ask(ports[1]));
  EXPECT_EQ(state.self, two.self());
  EXPECT_EQ(state.address, "as told");
}

TEST(QuorumServerTest, APortInUseIsNamed) {
  auto occupied = rpc::Listen({.name = "TEST", .host = "127.0.0.1", .port = 0});
  ASSERT_OK(occupied);
  Controller one(1, occupied->front().address.port, FreePort());
  EXPECT_THAT(one.server().Start(), HasCode(ErrorCode::kAddressInUse));
}

}  // namespace
}  // namespace millrace::tools
