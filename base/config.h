// The config table: every key is declared once, with its type, default, range, documentation and
// whether it can change without a restart; parsing, checking, describing and the generated
// docs/configuration.md all read that one declaration.
//
// A module has one plain struct T (durations as `..._ms` or bytes as int64_t, text as std::string)
// and one ConfigSchema<T> that binds keys to its fields. Names are Kafka's wherever Kafka has the
// key.
//
// Thread: any once built (immutable).
#ifndef BASE_CONFIG_H_
#define BASE_CONFIG_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace millrace {

enum class ConfigType { kBool, kInt, kDouble, kString, kList };

// The declaration of one key.
struct ConfigKey {
  std::string name = {};
  ConfigType type = ConfigType::kString;
  // In text form, as a user would write it.
  std::string default_value = {};
  // One or two sentences; the unit is part of the name or said here.
  std::string doc = {};
  // Inclusive range of a number.
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
  // The only values a string, or each element of a list, may have; empty: any.
  std::vector<std::string> allowed = {};
  // Takes effect without a restart.
  bool dynamic = false;
  // A topic key's broker-wide default has another name in Kafka (retention.ms: log.retention.ms).
  std::string broker_name = {};
};

// Name -> text value, as given by files, flags, the environment and the metadata.
using ConfigValues = std::map<std::string, std::string>;

// Whether `value` is allowed for `key`. Errors: INVALID_CONFIG naming key, value and what is
// allowed.
absl::Status CheckConfigValue(const ConfigKey& key, absl::string_view value);

// Errors of the parsers: INVALID_CONFIG. Booleans are "true" or "false".
absl::StatusOr<bool> ParseConfigBool(const ConfigKey& key, absl::string_view value);
absl::StatusOr<int64_t> ParseConfigInt(const ConfigKey& key, absl::string_view value);
absl::StatusOr<double> ParseConfigDouble(const ConfigKey& key, absl::string_view value);
// Split at commas, trimmed; an empty text is an empty list.
absl::StatusOr<std::vector<std::string>> ParseConfigList(const ConfigKey& key,
                                                         absl::string_view value);

// The declared name nearest to `name` by edit distance; empty if none is near.
std::string NearestConfigName(const std::vector<ConfigKey>& keys, absl::string_view name);

// INVALID_CONFIG: "unknown config key 'x'; did you mean 'y'?"
absl::Status UnknownConfigKey(const std::vector<ConfigKey>& keys, absl::string_view name);

// Keys bound to the fields of T. T's default-constructed fields are overwritten by the declared
// defaults, so the declaration is the only place where a default stands.
template <class T>
class ConfigSchema {
 public:
  ConfigSchema& Bool(bool T::*field, ConfigKey key) {
    key.type = ConfigType::kBool;
    return Add(std::move(key), [field](const ConfigKey& k, absl::string_view v, T* out) {
      return Store(ParseConfigBool(k, v), &(out->*field));
    });
  }
  ConfigSchema& Int(int64_t T::*field, ConfigKey key) {
    key.type = ConfigType::kInt;
    return Add(std::move(key), [field](const ConfigKey& k, absl::string_view v, T* out) {
      return Store(ParseConfigInt(k, v), &(out->*field));
    });
  }
  ConfigSchema& Double(double T::*field, ConfigKey key) {
    key.type = ConfigType::kDouble;
    return Add(std::move(key), [field](const ConfigKey& k, absl::string_view v, T* out) {
      return Store(ParseConfigDouble(k, v), &(out->*field));
    });
  }
  ConfigSchema& String(std::string T::*field, ConfigKey key) {
    key.type = ConfigType::kString;
    return Add(std::move(key), [field](const ConfigKey& k, absl::string_view v, T* out) {
      if (absl::Status s = CheckConfigValue(k, v); !s.ok()) return s;
      out->*field = std::string(v);
      return absl::OkStatus();
    });
  }
  ConfigSchema& List(std::vector<std::string> T::*field, ConfigKey key) {
    key.type = ConfigType::kList;
    return Add(std::move(key), [field](const ConfigKey& k, absl::string_view v, T* out) {
      return Store(ParseConfigList(k, v), &(out->*field));
    });
  }

  // All defaults, then `values` over them. Errors: INVALID_CONFIG, also for an unknown key.
  absl::StatusOr<T> Parse(const ConfigValues& values) const {
    T out;
    for (size_t i = 0; i < keys_.size(); ++i) {
      absl::Status s = setters_[i](keys_[i], keys_[i].default_value, &out);
      CHECK(s.ok()) << "default of " << keys_[i].name << ": " << std::string(s.message());
    }
    if (absl::Status s = Apply(values, &out); !s.ok()) return s;
    return out;
  }

  // `values` over what `out` holds. Errors as Parse; `out` may then be partly changed.
  absl::Status Apply(const ConfigValues& values, T* out) const {
    for (const auto& [name, value] : values) {
      const size_t i = IndexOf(name);
      if (i == keys_.size()) return UnknownConfigKey(keys_, name);
      if (absl::Status s = setters_[i](keys_[i], value, out); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  const std::vector<ConfigKey>& keys() const { return keys_; }
  // Null if not declared.
  const ConfigKey* Find(absl::string_view name) const {
    const size_t i = IndexOf(name);
    return i == keys_.size() ? nullptr : &keys_[i];
  }

 private:
  using Setter = std::function<absl::Status(const ConfigKey&, absl::string_view, T*)>;

  ConfigSchema& Add(ConfigKey key, Setter setter) {
    CHECK_EQ(IndexOf(key.name), keys_.size()) << key.name << " is declared twice";
    keys_.push_back(std::move(key));
    setters_.push_back(std::move(setter));
    return *this;
  }
  template <class V>
  static absl::Status Store(absl::StatusOr<V> parsed, V* field) {
    if (!parsed.ok()) return parsed.status();
    *field = *std::move(parsed);
    return absl::OkStatus();
  }
  size_t IndexOf(absl::string_view name) const {
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (keys_[i].name == name) return i;
    }
    return keys_.size();
  }

  std::vector<ConfigKey> keys_;
  std::vector<Setter> setters_;
};

}  // namespace millrace

#endif  // BASE_CONFIG_H_
