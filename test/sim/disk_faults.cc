#include "test/sim/disk_faults.h"

#include <optional>

#include "absl/strings/match.h"

namespace millrace::sim {
namespace {

bool NeedsRoom(const SimCall& call) {
  return call.kind == SimCall::Kind::kCreate || call.kind == SimCall::Kind::kWrite ||
         call.kind == SimCall::Kind::kZeroFill || call.kind == SimCall::Kind::kCreateDirectory;
}

}  // namespace

bool IsBelow(const std::string& path, const std::string& directory) {
  return absl::StrContains(path, directory);
}

void FailDirectory(SimFileSystem* disk, const std::string& directory, SimFault fault) {
  disk->SetFaults([directory, fault](const SimCall& call) -> std::optional<SimFault> {
    if (!IsBelow(call.path, directory)) return std::nullopt;
    if (fault == SimFault::kNoSpace && !NeedsRoom(call)) return std::nullopt;
    return fault;
  });
}

void FailOneCall(SimFileSystem* disk, const std::string& directory, uint64_t calls) {
  disk->SetFaults(
      [directory, left = calls + 1](const SimCall& call) mutable -> std::optional<SimFault> {
        if (left == 0 || !IsBelow(call.path, directory) || --left > 0) return std::nullopt;
        return SimFault::kIoError;
      });
}

void FailReads(SimFileSystem* disk, const std::string& directory) {
  disk->SetFaults([directory](const SimCall& call) -> std::optional<SimFault> {
    if (call.kind != SimCall::Kind::kRead || !IsBelow(call.path, directory)) return std::nullopt;
    return SimFault::kIoError;
  });
}

}  // namespace millrace::sim
