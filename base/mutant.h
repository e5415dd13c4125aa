// MUTANT and Maybe: switches in shipped code that only test builds have.
//
// MUTANT("name") marks a deliberate bug, to prove that some test or checker would find it:
//   if (!MUTANT("ack-before-sync")) RETURN_IF_ERROR(file.Sync());
// Maybe("site") widens a rare window in simulation: now and then, by a seeded draw, it is true.
//
// Both are the constant false unless compiled with -DMILLRACE_MUTANTS. There, one mutant is chosen
// at run time, and Maybe draws once a simulation has given it a Random; sites never reached are
// reported.
//
// Thread: in test builds each thread has switches of its own; a simulation runs on one.
#ifndef BASE_MUTANT_H_
#define BASE_MUTANT_H_

#ifndef MILLRACE_MUTANTS

#define MUTANT(name) false

namespace millrace {
constexpr bool Maybe(const char* /*site*/) { return false; }
}  // namespace millrace

#else

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/random.h"

#define MUTANT(name) (::millrace::TestSwitches::Get().IsMutant(name))

namespace millrace {

class TestSwitches {
 public:
  struct Counts {
    int64_t reached = 0;
    int64_t taken = 0;
  };

  // This thread's.
  static TestSwitches& Get() {
    thread_local TestSwitches switches;
    return switches;
  }

  // The mutant that is alive from now on; "" for none.
  void SetMutant(std::string name) { mutant_ = std::move(name); }
  bool IsMutant(const char* name) {
    ++mutants_[name].reached;
    if (mutant_ != name) return false;
    ++mutants_[name].taken;
    return true;
  }

  // Maybe is true once in `one_in` times, by draws from `random`; null turns it off.
  void SetMaybe(Random* random, uint64_t one_in) {
    random_ = random;
    one_in_ = one_in;
  }
  bool Maybe(const char* site) {
    Counts& counts = sites_[site];
    ++counts.reached;
    if (random_ == nullptr || random_->Below(one_in_) != 0) return false;
    ++counts.taken;
    return true;
  }

  // What was asked and how often it was true, by name, since the thread began or Reset.
  const std::map<std::string, Counts>& mutants() const { return mutants_; }
  const std::map<std::string, Counts>& sites() const { return sites_; }

  void Reset() { *this = TestSwitches(); }

 private:
  std::string mutant_;
  Random* random_ = nullptr;
  uint64_t one_in_ = 1;
  std::map<std::string, Counts> mutants_;
  std::map<std::string, Counts> sites_;
};

inline bool Maybe(const char* site) { return TestSwitches::Get().Maybe(site); }

}  // namespace millrace

#endif  // MILLRACE_MUTANTS

#endif  // BASE_MUTANT_H_
