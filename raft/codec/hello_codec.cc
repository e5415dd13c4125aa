#include "raft/codec/hello_codec.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "millrace/internal/v1/raft_service.pb.h"

namespace millrace::raft {
namespace {

namespace wire = millrace::internal::v1;

constexpr size_t kVersionBytesMax = 128;

absl::Status Misfit(absl::string_view field, absl::string_view value) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("a hello whose ", field, " is \"", value, "\""),
                   {.name = std::string(field), .value = std::string(value)});
}

void ToWire(const Hello& hello, wire::Hello* out) {
  out->set_version(hello.version);
  out->set_cluster_id(hello.cluster_id.ToBytes());
  out->set_node_id(hello.from.node.value());
  out->set_directory_id(hello.from.directory.ToBytes());
  out->set_address(hello.address);
  out->set_start_counter(hello.process.start_counter);
  out->set_process_nonce(hello.process.nonce.ToBytes());
  out->set_to_node_id(hello.to.value());
  out->set_feature_level_min(hello.features.level_min);
  out->set_feature_level_max(hello.features.level_max);
  out->set_program_version(hello.features.version);
  out->set_quorum_generation(hello.generation);
  out->set_asks_to_join(hello.asks_to_join);
}

absl::StatusOr<Hello> FromWire(const wire::Hello& in) {
  Hello hello;
  hello.version = in.version();
  if (in.node_id() < 0) return Misfit("node id", absl::StrCat(in.node_id()));
  if (in.to_node_id() < 0) return Misfit("receiver's node id", absl::StrCat(in.to_node_id()));
  if (in.start_counter() < 0) return Misfit("start counter", absl::StrCat(in.start_counter()));
  if (in.address().size() > kVoterAddressBytesMax) {
    return Misfit("address", absl::StrCat(in.address().substr(0, 64), "..."));
  }
  const auto cluster = ClusterId::FromBytes(in.cluster_id());
  if (!cluster.ok() || cluster->is_zero()) return Misfit("cluster id", "not 16 bytes, or zero");
  const auto directory = DirectoryId::FromBytes(in.directory_id());
  if (!directory.ok() || directory->is_zero()) {
    return Misfit("directory id", "not 16 bytes, or zero");
  }
  const auto nonce = Uuid::FromBytes(in.process_nonce());
  if (!nonce.ok()) return Misfit("process nonce", "not 16 bytes");
  hello.cluster_id = *cluster;
  hello.from = VoterId{NodeId(in.node_id()), *directory};
  hello.address = in.address();
  hello.process = ProcessId{in.start_counter(), *nonce};
  hello.to = NodeId(in.to_node_id());
  if (in.feature_level_min() < 0 || in.feature_level_max() < in.feature_level_min()) {
    return Misfit("feature levels",
                  absl::StrCat(in.feature_level_min(), " to ", in.feature_level_max()));
  }
  if (in.program_version().size() > kVersionBytesMax) {
    return Misfit("program version", absl::StrCat(in.program_version().substr(0, 64), "..."));
  }
  if (in.quorum_generation() < 0) {
    return Misfit("quorum generation", absl::StrCat(in.quorum_generation()));
  }
  hello.features = {.level_min = in.feature_level_min(),
                    .level_max = in.feature_level_max(),
                    .version = in.program_version()};
  hello.generation = in.quorum_generation();
  hello.asks_to_join = in.asks_to_join();
  return hello;
}

}  // namespace

std::string EncodeHelloRequest(const Hello& hello) {
  wire::ReplicateRequest request;
  ToWire(hello, request.mutable_hello());
  return request.SerializeAsString();
}

std::string EncodeHelloResponse(const Hello& hello) {
  wire::ReplicateResponse response;
  ToWire(hello, response.mutable_hello());
  return response.SerializeAsString();
}

absl::StatusOr<Hello> DecodeHelloResponse(Slice bytes) {
  wire::ReplicateResponse response;
  if (!response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !response.has_hello()) {
    return Misfit("response", "not a ReplicateResponse with a hello");
  }
  return FromWire(response.hello());
}

absl::StatusOr<Hello> DecodeHello(Slice bytes) {
  wire::Hello hello;
  if (!hello.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Misfit("encoding", "not a Hello");
  }
  return FromWire(hello);
}

}  // namespace millrace::raft
