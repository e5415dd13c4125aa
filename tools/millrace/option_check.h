// OptionCheck: what a command's options accept, with messages that name the value and what is
// allowed (CLI11's own print limits of types).
//
// Thread: main.
#ifndef TOOLS_MILLRACE_OPTION_CHECK_H_
#define TOOLS_MILLRACE_OPTION_CHECK_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace millrace::tools {

// "'x' is not a whole number from 1 to 10", or without an end.
CLI::Validator WholeNumber(int64_t min, int64_t max = std::numeric_limits<int64_t>::max());
// A number, with a fraction or without: above zero, or from zero on.
CLI::Validator NumberAboveZero();
CLI::Validator NumberFromZero();
// "'x' is none of: a, b, c; did you mean 'b'?"
CLI::Validator OneOf(std::vector<std::string> allowed);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_OPTION_CHECK_H_
