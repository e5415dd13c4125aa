// VersionedMap: the map that images are made of. A copy is cheap and shares memory with its origin.
//
// Thread: any (a value).
#ifndef METADATA_VERSIONED_MAP_H_
#define METADATA_VERSIONED_MAP_H_

#include <cstddef>
#include <map>
#include <memory>
#include <utility>

namespace millrace::metadata {

template <class K, class V>
class VersionedMap {
 public:
  size_t size() const { return map_ == nullptr ? 0 : map_->size(); }
  bool empty() const { return size() == 0; }

  // Null if `key` is not there. The pointer lives as long as some copy that has the value.
  template <class Key>
  const V* Find(const Key& key) const {
    if (map_ == nullptr) return nullptr;
    auto it = map_->find(K(key));
    return it == map_->end() ? nullptr : &it->second;
  }

  void Set(const K& key, V value) { Mutable().insert_or_assign(key, std::move(value)); }
  void Erase(const K& key) {
    if (Find(key) != nullptr) Mutable().erase(key);
  }

  // Calls visit(key, value) for all, in an order that depends on the content only.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    if (map_ == nullptr) return;
    for (const auto& [key, value] : *map_) visit(key, value);
  }

  friend bool operator==(const VersionedMap& a, const VersionedMap& b) {
    if (a.map_ == b.map_) return true;
    if (a.empty() || b.empty()) return a.empty() && b.empty();
    return *a.map_ == *b.map_;
  }

 private:
  std::map<K, V>& Mutable() {
    if (map_ == nullptr) {
      map_ = std::make_shared<std::map<K, V>>();
    } else if (map_.use_count() > 1) {
      map_ = std::make_shared<std::map<K, V>>(*map_);
    }
    return *map_;
  }

  std::shared_ptr<std::map<K, V>> map_;
};

}  // namespace millrace::metadata

#endif  // METADATA_VERSIONED_MAP_H_
