// A voter's network without a voter: answers each Raft message with the same one, to its sender.
// For raft_transport_test, which kills and stops it.
//
//   raft_peer PORT START_COUNTER    (port 0: any; the one it has is its first line)
//
// Thread: main waits; the owner is the server's queue.
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "raft/service/testing/transport_test_bed.h"

namespace millrace::raft {
namespace {

class Echo final : public TransportReceiver {
 public:
  explicit Echo(GrpcTransport* transport) : transport_(transport) {}

  void OnMessage(const Message& message) override {
    Message answer = message;
    std::swap(answer.from, answer.to);
    transport_->Send({std::move(answer)});
  }
  void OnUnreachable(NodeId) override {}
  void OnSuperseded(const absl::Status&) override {}

 private:
  GrpcTransport* const transport_;
};

int Main(int argc, char** argv) {
  TestVoterOptions options;
  options.node = 2;
  options.owner_is_queue = true;
  if (argc != 3 || !absl::SimpleAtoi(argv[1], &options.port) ||
      !absl::SimpleAtoi(argv[2], &options.start_counter)) {
    std::fprintf(stderr, "usage: raft_peer PORT START_COUNTER\n");
    return 2;
  }
  options.nonce = static_cast<uint64_t>(getpid());
  TestVoter voter(options);
  std::unique_ptr<Echo> echo;
  voter.Run([&](GrpcTransport& it) {
    echo = std::make_unique<Echo>(&it);
    it.SetReceiver(echo.get());
  });
  std::printf("%d\n", voter.port());
  std::fflush(stdout);
  // Until it is killed.
  for (;;) pause();
}

}  // namespace
}  // namespace millrace::raft

int main(int argc, char** argv) { return millrace::raft::Main(argc, argv); }
