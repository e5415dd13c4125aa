#include "test/sim/quorum_history.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace millrace::sim {
namespace {

using Kind = TopicCall::Kind;

constexpr size_t kNever = std::numeric_limits<size_t>::max();

std::string Text(const TopicCall& call) {
  switch (call.kind) {
    case Kind::kCreate:
      return absl::StrCat("create ", call.name, " as ", call.id, " with ", call.value);
    case Kind::kDelete:
      return absl::StrCat("delete ", call.name);
    case Kind::kAlter:
      return absl::StrCat("alter ", call.name, " to ", call.value);
    case Kind::kDescribe:
      return absl::StrCat("describe ", call.name);
  }
  return "";
}

std::string Text(const TopicAnswer& answer) {
  if (!answer.done) return "refused by what is there";
  return answer.found.id == 0
             ? std::string("done")
             : absl::StrCat("found ", answer.found.id, " with ", answer.found.value);
}

}  // namespace

TopicAnswer ApplyTo(const TopicCall& call, TopicRegister* topic) {
  const bool exists = topic->id != 0;
  if (call.kind == Kind::kCreate) {
    if (exists) return {.done = false};
    *topic = {call.id, call.value};
    return {.done = true};
  }
  if (!exists) return {.done = false};
  TopicAnswer answer{.done = true};
  if (call.kind == Kind::kAlter) {
    topic->value = call.value;
  } else if (call.kind == Kind::kDelete) {
    answer.found.id = topic->id;
    *topic = {};
  } else {
    answer.found = *topic;
  }
  return answer;
}

TopicHistory::CallId TopicHistory::OnCalled(TopicCall call) {
  calls_.push_back(Call{.call = std::move(call), .called = ++moment_, .answered = kNever});
  return calls_.size() - 1;
}

void TopicHistory::OnAnswered(CallId id, const TopicAnswer& answer) {
  Call& call = calls_.at(id);
  CHECK(call.fate == Fate::kOpen);
  call.fate = Fate::kAnswered;
  call.answer = answer;
  call.answered = ++moment_;
}

void TopicHistory::OnRefused(CallId id) {
  CHECK(calls_.at(id).fate == Fate::kOpen);
  calls_.at(id).fate = Fate::kRefused;
}

std::map<std::string, std::vector<const TopicHistory::Call*>> TopicHistory::ByName() const {
  std::map<std::string, std::vector<const Call*>> by_name;
  std::set<std::pair<std::string, int64_t>> values_seen;
  for (const Call& call : calls_) {
    if (call.answer.found.id != 0) values_seen.emplace(call.call.name, call.answer.found.value);
  }
  for (const Call& call : calls_) {
    if (call.fate == Fate::kRefused) continue;
    const bool open = call.fate == Fate::kOpen;
    // Those explain nothing: if there is an order with them, there is one without.
    if (open && call.call.kind == Kind::kDescribe) continue;
    if (open && call.call.kind == Kind::kAlter &&
        !values_seen.contains({call.call.name, call.call.value})) {
      continue;
    }
    by_name[call.call.name].push_back(&call);
  }
  return by_name;
}

// Tries orders, one call after the other, for one name; remembers where it has been.
class TopicHistory::Search {
 public:
  Search(const std::vector<const Call*>& calls, size_t steps_max)
      : calls_(calls), steps_left_(steps_max), placed_((calls.size() + 63) / 64) {
    for (const Call* call : calls) answered_ += call->fate == Fate::kAnswered ? 1 : 0;
  }

  Verdict Run() {
    if (Place(TopicRegister{})) return Verdict::kLinearizable;
    return steps_left_ == 0 ? Verdict::kInconclusive : Verdict::kViolated;
  }

  // The call that had to be next in the longest order found.
  const Call* stuck_at() const { return stuck_at_; }

 private:
  bool IsPlaced(size_t i) const { return (placed_[i / 64] >> (i % 64) & 1) != 0; }
  void Flip(size_t i) { placed_[i / 64] ^= uint64_t{1} << (i % 64); }

  // Whether all that are left can follow, with `topic` in the register.
  bool Place(const TopicRegister& topic) {
    if (answered_ == 0) return true;
    if (steps_left_ == 0 || !been_.emplace(placed_, topic).second) return false;
    --steps_left_;
    // No call may be put off beyond the answer of another.
    size_t first = 0;
    while (IsPlaced(first)) ++first;
    const Call* next = nullptr;
    for (size_t i = first; i < calls_.size(); ++i) {
      if (!IsPlaced(i) && (next == nullptr || calls_[i]->answered < next->answered)) {
        next = calls_[i];
      }
    }
    if (answered_ < least_left_) {
      least_left_ = answered_;
      stuck_at_ = next;
    }
    // The answered ones first: most calls without an answer need not be placed.
    for (const bool open : {false, true}) {
      for (size_t i = first; i < calls_.size() && calls_[i]->called < next->answered; ++i) {
        if (IsPlaced(i) || (calls_[i]->fate == Fate::kOpen) != open) continue;
        TopicRegister after = topic;
        TopicAnswer answer = ApplyTo(calls_[i]->call, &after);
        const bool whatever = calls_[i]->call.kind == Kind::kDelete;
        if (whatever && calls_[i]->answer.found.id == 0) answer.found = {};
        // Without effect it need not be placed.
        if (open ? after == topic : answer != calls_[i]->answer) continue;
        Flip(i);
        answered_ -= open ? 0 : 1;
        if (Place(after)) return true;
        answered_ += open ? 0 : 1;
        Flip(i);
      }
    }
    return false;
  }

  const std::vector<const Call*>& calls_;
  size_t steps_left_;
  std::vector<uint64_t> placed_;
  // Answered calls that are not placed.
  size_t answered_ = 0;
  std::set<std::pair<std::vector<uint64_t>, TopicRegister>> been_;
  size_t least_left_ = kNever;
  const Call* stuck_at_ = nullptr;
};

TopicHistory::Verdict TopicHistory::Check(size_t steps_max, std::string* why) const {
  Verdict worst = Verdict::kLinearizable;
  for (const auto& [name, calls] : ByName()) {
    Search search(calls, steps_max);
    const Verdict verdict = search.Run();
    if (verdict == Verdict::kLinearizable) continue;
    *why = absl::StrCat("'", name, "': nothing explains: ", Text(search.stuck_at()->call), ", ",
                        Text(search.stuck_at()->answer));
    if (verdict == Verdict::kViolated) return verdict;
    worst = verdict;
  }
  return worst;
}

std::string TopicHistory::Describe(const std::string& name) const {
  std::string text;
  for (const Call& call : calls_) {
    if (call.call.name != name) continue;
    absl::StrAppend(&text, call.called, " to ",
                    call.fate == Fate::kAnswered ? absl::StrCat(call.answered) : "?", ": ",
                    Text(call.call), ": ",
                    call.fate == Fate::kAnswered  ? Text(call.answer)
                    : call.fate == Fate::kRefused ? "never happened"
                                                  : "no answer",
                    "\n");
  }
  return text;
}

}  // namespace millrace::sim
