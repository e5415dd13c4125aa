#include "tools/millrace/verify_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace millrace::tools {
namespace {

int64_t Count(const std::vector<Problem>& problems, ProblemKind kind) {
  return std::count_if(problems.begin(), problems.end(),
                       [kind](const Problem& problem) { return problem.kind == kind; });
}

template <class T>
Json ValueOrNull(const std::optional<T>& value) {
  if (!value.has_value()) return nullptr;
  return *value;
}

}  // namespace

const char* ProblemKindName(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kDamage:
      return "damage";
    case ProblemKind::kHint:
      return "hint";
    case ProblemKind::kTorn:
      return "torn";
  }
  return "damage";
}

void VerifyReport::AddUnlessOk(const absl::Status& status, const std::string& path) {
  if (!status.ok()) Add(ProblemKind::kDamage, {path}, std::string(status.message()));
}

absl::Status VerifyReport::Verdict() const {
  const int64_t damage = Count(problems, ProblemKind::kDamage);
  const int64_t hints = Count(problems, ProblemKind::kHint);
  if (damage + hints == 0) return absl::OkStatus();
  std::string message;
  if (damage != 0) {
    message = absl::StrCat(damage, damage == 1 ? " place is" : " places are",
                           " damaged: restore what they belong to from another replica");
  }
  if (hints != 0) {
    absl::StrAppend(
        &message, damage == 0 ? "" : "; ", hints,
        hints == 1 ? " file that only saves time is wrong" : " files that only save time are wrong",
        ": the server makes them anew");
  }
  return MakeError(ErrorCode::kCorruptLog, message);
}

Json VerifyReport::ToJson() const {
  Json list = Json::array();
  for (const Problem& problem : problems) {
    Json offset = nullptr;
    if (problem.place.offset.has_value()) offset = problem.place.offset->value();
    list.push_back({{"kind", ProblemKindName(problem.kind)},
                    {"path", problem.place.path},
                    {"position", ValueOrNull(problem.place.position)},
                    {"offset", offset},
                    {"what", problem.what}});
  }
  return {{"ok", Verdict().ok()}, {"partitions", partitions},   {"segments", segments},
          {"batches", batches},   {"records", records},         {"snapshots", snapshots},
          {"bytes", bytes},       {"problems", std::move(list)}};
}

std::string VerifyReport::ToText() const {
  std::string text;
  for (const Problem& problem : problems) {
    absl::StrAppend(&text, ProblemKindName(problem.kind), ": ", problem.place.path);
    if (problem.place.position.has_value()) {
      absl::StrAppend(&text, " at byte ", *problem.place.position);
    }
    if (problem.place.offset.has_value()) {
      absl::StrAppend(&text, ", offset ", problem.place.offset->value());
    }
    absl::StrAppend(&text, ": ", problem.what, "\n");
  }
  absl::StrAppend(
      &text,
      absl::StrFormat("read %.1f MiB: %d partitions, %d segments, %d batches, %d "
                      "records, %d snapshots: %d damaged, %d wrong hints, %d torn\n",
                      static_cast<double>(bytes) / 1048576, partitions, segments, batches, records,
                      snapshots, Count(problems, ProblemKind::kDamage),
                      Count(problems, ProblemKind::kHint), Count(problems, ProblemKind::kTorn)));
  return text;
}

}  // namespace millrace::tools
