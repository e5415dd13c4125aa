#include "tools/millrace/option_check.h"

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/millrace/output.h"

namespace millrace::tools {
namespace {

constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();

CLI::Validator Number(std::string description, bool zero_too) {
  const std::string expected = zero_too ? "a number from 0" : "a number above 0";
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        double value = 0;
        const bool fits = absl::SimpleAtod(text, &value) && std::isfinite(value) &&
                          (value > 0 || (zero_too && value == 0));
        return fits ? "" : absl::StrCat("'", text, "' is not ", expected);
      },
      std::move(description));
}

}  // namespace

CLI::Validator WholeNumber(int64_t min, int64_t max) {
  const std::string range =
      absl::StrCat("from ", min, max == kNoEnd ? "" : absl::StrCat(" to ", max));
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        int64_t value = 0;
        if (absl::SimpleAtoi(text, &value) && min <= value && value <= max) return "";
        return absl::StrCat("'", text, "' is not a whole number ", range);
      },
      range);
}

CLI::Validator NumberAboveZero() { return Number("above 0", /*zero_too=*/false); }
CLI::Validator NumberFromZero() { return Number("from 0", /*zero_too=*/true); }

CLI::Validator OneOf(std::vector<std::string> allowed) {
  const std::string list = absl::StrJoin(allowed, ", ");
  return CLI::Validator(
      [allowed = std::move(allowed), list](std::string& text) -> std::string {
        for (const std::string& value : allowed) {
          if (text == value) return "";
        }
        return absl::StrCat("'", text, "' is none of: ", list, NearestHint(text, allowed));
      },
      list);
}

}  // namespace millrace::tools
