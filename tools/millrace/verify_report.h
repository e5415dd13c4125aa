// VerifyReport: what `millrace log verify` has found, for people and as JSON.
//
// Each problem says in which file, at which byte and at which offset of the log it lies, as far as
// that is known, and how bad it is.
//
// Thread: main (a value).
#ifndef TOOLS_MILLRACE_VERIFY_REPORT_H_
#define TOOLS_MILLRACE_VERIFY_REPORT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "tools/millrace/output.h"

namespace millrace::tools {

enum class ProblemKind {
  kDamage,  // Records, or what the server knows about them, are lost or changed.
  kHint,    // A file that only saves time is wrong: the server notices, and reads the log instead.
  kTorn,  // A write that a crash or kill cut short and nobody was promised: the next start cuts it.
};

// "damage", "hint", "torn".
const char* ProblemKindName(ProblemKind kind);

struct Place {
  std::string path;
  // In the file, in bytes.
  std::optional<uint64_t> position = {};
  // In the partition's log.
  std::optional<Offset> offset = {};
};

struct Problem {
  ProblemKind kind;
  Place place;
  std::string what;
};

struct VerifyReport {
  int64_t partitions = 0;
  int64_t segments = 0;
  int64_t batches = 0;
  int64_t records = 0;
  // Of the metadata log.
  int64_t snapshots = 0;
  // Of all files read.
  uint64_t bytes = 0;
  std::vector<Problem> problems;
  // Called now and then with what is being read; may be null.
  std::function<void(const std::string& path)> progress;

  void Add(ProblemKind kind, Place place, std::string what) {
    problems.push_back({kind, std::move(place), std::move(what)});
  }
  // OK, or what kept a file from being read, as damage.
  void AddUnlessOk(const absl::Status& status, const std::string& path);

  // OK unless something is damaged or a hint is wrong: CORRUPT_LOG with how many of each.
  absl::Status Verdict() const;
  Json ToJson() const;
  // A line per problem and one with the sums.
  std::string ToText() const;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_VERIFY_REPORT_H_
