// TopicHistory: what clients asked a quorum of controllers about topics, and what they were told;
// and whether all of it can have happened one after the other.
//
// Each name is a register of its own: a topic (its id, one config value) or nothing. A history is
// linearizable if every call can be given one moment between its beginning and its answer, so that
// all answers are those of a single copy. A call without an answer may have happened at any moment
// after its beginning, or never; a refused one never did.
//
// Thread: one.
// Source: Wing and Gong, "Testing and verifying concurrent objects" (1993), with the memory of
// Lowe, "Testing for linearizability" (2017).
#ifndef TEST_SIM_QUORUM_HISTORY_H_
#define TEST_SIM_QUORUM_HISTORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace millrace::sim {

// The register: what is known under one name.
struct TopicRegister {
  // 0: there is no such topic. Ids are never used twice.
  uint64_t id = 0;
  int64_t value = 0;

  friend auto operator<=>(const TopicRegister&, const TopicRegister&) = default;
};

struct TopicCall {
  enum class Kind { kCreate, kDelete, kAlter, kDescribe };

  Kind kind = Kind::kDescribe;
  std::string name;
  // kCreate: of the new topic.
  uint64_t id = 0;
  // kCreate, kAlter: the config value to be set.
  int64_t value = 0;
};

struct TopicAnswer {
  // False: the topic exists already (kCreate), or does not exist (all others).
  bool done = false;
  // kDescribe: what is there. kDelete: the id of what was; 0, if whoever asked does not know it.
  TopicRegister found = {};

  friend bool operator==(const TopicAnswer&, const TopicAnswer&) = default;
};

// What a single copy would answer; `*topic` becomes what it leaves.
TopicAnswer ApplyTo(const TopicCall& call, TopicRegister* topic);

class TopicHistory {
 public:
  using CallId = size_t;
  enum class Verdict { kLinearizable, kViolated, kInconclusive };

  CallId OnCalled(TopicCall call);
  void OnAnswered(CallId id, const TopicAnswer& answer);
  // It did not happen and never will.
  void OnRefused(CallId id);

  size_t size() const { return calls_.size(); }
  // `steps_max`: of the search, for each name; beyond it the verdict is kInconclusive. `*why` names
  // the register, and the first call that nothing explains.
  Verdict Check(size_t steps_max, std::string* why) const;
  // All calls about `name`, a line each.
  std::string Describe(const std::string& name) const;

 private:
  enum class Fate { kOpen, kAnswered, kRefused };
  struct Call {
    TopicCall call;
    // Moments, counted over all calls.
    size_t called = 0;
    size_t answered = 0;
    Fate fate = Fate::kOpen;
    TopicAnswer answer = {};
  };
  class Search;

  // Those that matter, by name, in the order of their beginning.
  std::map<std::string, std::vector<const Call*>> ByName() const;

  std::vector<Call> calls_;
  size_t moment_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_HISTORY_H_
