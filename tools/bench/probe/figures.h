// Figures: what the probes share: a clock, percentiles of measured times, and options of a command
// line of the form `name value`.
//
// A probe keeps every time it measures, so its percentiles are exact. Not here: the histogram of
// `millrace perf`, which must hold millions (tools/millrace/latency_histogram.h).
//
// Thread: one at a time.
#ifndef TOOLS_BENCH_PROBE_FIGURES_H_
#define TOOLS_BENCH_PROBE_FIGURES_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace millrace::bench {

using Json = nlohmann::ordered_json;

// Monotonic.
inline double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// {n, p50_us, p99_us, max_us} of times in seconds. REQUIRES: there is one.
inline Json PercentilesUs(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  const auto at = [&](double fraction) {
    return seconds[std::min(n - 1, static_cast<size_t>(fraction * static_cast<double>(n)))] * 1e6;
  };
  return {{"n", n}, {"p50_us", at(0.5)}, {"p99_us", at(0.99)}, {"max_us", seconds.back() * 1e6}};
}

// A probe that cannot measure says why and ends: a figure that is not there is better than a wrong
// one.
[[noreturn]] inline void Die(const std::string& what) {
  std::fprintf(stderr, "probe: %s\n", what.c_str());
  std::exit(1);
}

// `--name value` pairs.
class Options {
 public:
  Options(int argc, char** argv, int first) {
    for (int i = first; i < argc; i += 2) {
      const std::string name = argv[i];
      if (name.rfind("--", 0) != 0 || i + 1 == argc) Die("cannot read the option '" + name + "'");
      values_[name.substr(2)] = argv[i + 1];
    }
  }
  bool Has(const std::string& name) const { return values_.contains(name); }
  std::string Text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) Die("needs the option --" + name);
    return found->second;
  }
  double Number(const std::string& name, double otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : std::atof(found->second.c_str());
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace millrace::bench

#endif  // TOOLS_BENCH_PROBE_FIGURES_H_
