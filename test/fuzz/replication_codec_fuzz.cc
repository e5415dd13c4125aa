// Feeds bytes to what reads the messages between followers and leaders. Whatever they hold, the
// answer is a status, or a message that can be said again and means the same.
//
// Thread: the fuzzer's one.
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "broker/codec/replication_decoder.h"
#include "broker/codec/replication_encoder.h"

namespace millrace::broker {
namespace {

std::string Join(const MessagePieces& pieces) {
  std::string bytes;
  for (const Bytes& piece : pieces) bytes += piece.ToString();
  return bytes;
}

void CheckFollower(absl::Span<const Slice> input) {
  const auto request = DecodeFollowRequest(input);
  if (!request.ok()) return;
  const std::string said = Join(EncodeFollowerMessage(request->message));
  const Slice piece = said;
  const auto again = DecodeFollowRequest({&piece, 1});
  // Credits of several frames add up, to what one frame may not say.
  if (request->message.credit_bytes > INT32_MAX) return;
  CHECK(again.ok() && again->message == request->message);
}

void CheckLeader(absl::Span<const Slice> input) {
  const auto response = DecodeFollowResponse(input);
  if (!response.ok()) return;
  LeaderMessage out;
  out.replies = response->message.replies;
  out.detaches = response->message.detaches;
  out.asks = response->message.asks;
  for (const ReplicaPush& push : response->message.pushes) {
    OutgoingPush& outgoing = out.pushes.emplace_back();
    outgoing.push = push;
    outgoing.push.batches = Bytes();
    outgoing.pieces = {push.batches};
  }
  const std::string said = Join(EncodeLeaderMessage(out));
  const Slice piece = said;
  const auto again = DecodeFollowResponse({&piece, 1});
  CHECK(again.ok() && again->message == response->message);
}

}  // namespace
}  // namespace millrace::broker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;  // NOLINT: a fuzz target is one function.
  const Slice bytes(reinterpret_cast<const char*>(data), size);
  broker::CheckFollower({&bytes, 1});
  broker::CheckLeader({&bytes, 1});
  // In two pieces, cut anywhere.
  if (size < 2) return 0;
  const size_t cut = data[0] % size;
  const std::vector<Slice> pieces = {bytes.substr(0, cut), bytes.substr(cut)};
  broker::CheckFollower(pieces);
  broker::CheckLeader(pieces);
  return 0;
}
