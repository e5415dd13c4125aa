// Config keys as Markdown: what docs/configuration.md is made of.
//
// Thread: any (pure functions).
#ifndef BASE_CONFIG_DOC_H_
#define BASE_CONFIG_DOC_H_

#include <string>
#include <vector>

#include "base/config.h"

namespace millrace {

// A chapter of the page: the keys of one or several modules.
struct ConfigDocSection {
  std::string title;
  // A paragraph before the table; may be empty.
  std::string introduction = {};
  std::vector<ConfigKey> keys = {};
};

// A table with a row for each key, sorted by name: key, type, default, what is allowed, whether it
// takes effect without a restart, and its documentation.
std::string ConfigDocTable(std::vector<ConfigKey> keys);

// The whole page, with a heading for each section. Ends with a newline.
std::string ConfigDocPage(const std::vector<ConfigDocSection>& sections);

}  // namespace millrace

#endif  // BASE_CONFIG_DOC_H_
