// Feeds bytes to what reads a peer's messages: a frame, a request of many, a hello, a founding
// state. Whatever they hold, the answer is a status, or a message that can be said again in the
// same bytes.
//
// Thread: the fuzzer's one.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.h"
#include "base/coding.h"
#include "millrace/internal/v1/raft_service.pb.h"
#include "raft/codec/founding_codec.h"
#include "raft/codec/hello_codec.h"
#include "raft/codec/message_decoder.h"
#include "raft/codec/message_encoder.h"

namespace millrace::raft {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

std::string Encode(const Message& message) {
  RequestWriter writer;
  Require(writer.Add(message).ok());
  std::string bytes;
  for (const Bytes& piece : writer.Finish()) bytes += piece.ToString();
  return bytes;
}

void CheckFrame(const std::string& frame) {
  const auto message = DecodeMessage(Bytes::Copy(frame));
  if (!message.ok()) return;
  std::string expected;
  AppendVarint(kMessageTag, &expected);
  AppendVarint(frame.size(), &expected);
  Require(Encode(*message) == expected + frame);
}

void CheckRequest(const std::string& bytes) {
  const auto request = DecodeReplicateRequest(Bytes::Copy(bytes));
  if (!request.ok()) return;
  for (const Message& message : request->messages) {
    const auto again = DecodeReplicateRequest(Bytes::FromString(Encode(message)));
    Require(again.ok() && again->messages.size() == 1 && again->messages[0] == message);
  }
}

void CheckFounding(const std::string& bytes) {
  internal::v1::FoundingState proto;
  if (!proto.ParseFromString(bytes)) return;
  const auto state = DecodeFoundingState(proto);
  if (!state.ok()) return;
  const auto again = DecodeFoundingState(EncodeFoundingState(*state));
  Require(again.ok() && *again == *state);
}

}  // namespace
}  // namespace millrace::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (const auto hello = raft::DecodeHelloResponse(bytes); hello.ok()) {
    const auto again = raft::DecodeHelloResponse(raft::EncodeHelloResponse(*hello));
    raft::Require(again.ok() && *again == *hello);
  }
  raft::CheckFounding(bytes);
  raft::CheckRequest(bytes);
  raft::CheckFrame(bytes);
  // So that the fuzzer gets behind the prefix.
  if (bytes.size() < raft::kFramePrefixBytes) return 0;
  bytes[0] = static_cast<char>(raft::kFrameVersion);
  bytes[1] = static_cast<char>(1 + static_cast<uint8_t>(bytes[1]) % 8);
  raft::CheckFrame(bytes);
  return 0;
}
