// KeyRule: where the key of a record comes from when records are read as text.
//
// Either none (null keys), the part before the first separator (which is then not part of the
// value), or what a regular expression (RE2 syntax, '^' and '$' at each line) finds in the record:
// its first group, or the whole match if it has none. A record in which it finds nothing gets a
// null key.
//
// Thread: any once made.
#ifndef TOOLS_MILLRACE_KEY_RULE_H_
#define TOOLS_MILLRACE_KEY_RULE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "re2/re2.h"

namespace millrace::tools {

class KeyRule {
 public:
  // Both empty: no keys. Errors: INVALID_REQUEST if both are given or the expression is malformed.
  static absl::StatusOr<KeyRule> Make(const std::string& separator, const std::string& regex);

  struct Split {
    std::optional<std::string> key;
    Slice value;
  };
  // Errors: INVALID_RECORD if the separator is not in the record.
  absl::StatusOr<Split> Apply(Slice record) const;

 private:
  std::string separator_;
  std::shared_ptr<const re2::RE2> regex_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_KEY_RULE_H_
