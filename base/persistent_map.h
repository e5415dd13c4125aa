// PersistentMap: a sorted map whose copies cost a pointer and whose changes share all but a path.
//
// An immutable B+ tree of up to 32 ways: a change copies the O(log n) nodes on the way to its key
// and leaves every older copy as it was. Entries are shared too, never copied, so a pointer from
// Find lives as long as some copy that has the entry.
//
// Iteration is in the order of the keys' operator<, so it depends on the content only: not on the
// process, on hashes or on the history of changes. Also serves as a persistent vector, by integer
// keys.
//
// Source: the B+ tree of any textbook, with path copying after Driscoll et al., "Making Data
// Structures Persistent" (1989).
//
// Thread: a map belongs to one thread at a time; copies that share nodes may belong to several.
#ifndef BASE_PERSISTENT_MAP_H_
#define BASE_PERSISTENT_MAP_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"

namespace millrace {

template <class K, class V>
class PersistentMap {
 public:
  using Entry = std::pair<const K, V>;
  class Iterator;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Null if `key` is not there. Key may be any type that compares with K.
  template <class Key>
  const V* Find(const Key& key) const {
    const Entry* entry = FindEntry(key);
    return entry == nullptr ? nullptr : &entry->second;
  }
  template <class Key>
  bool Contains(const Key& key) const {
    return FindEntry(key) != nullptr;
  }

  // Adds the entry, or replaces its value.
  void Set(K key, V value) {
    auto entry = std::make_shared<const Entry>(std::move(key), std::move(value));
    if (root_ == nullptr) {
      root_ = MakeLeaf({std::move(entry)});
      size_ = 1;
      return;
    }
    bool is_new = true;
    auto [left, right] = Insert(*root_, std::move(entry), &is_new);
    root_ = right == nullptr ? std::move(left) : MakeInner({std::move(left), std::move(right)});
    if (is_new) ++size_;
  }

  // False, and nothing copied, if `key` is not there.
  template <class Key>
  bool Erase(const Key& key) {
    if (FindEntry(key) == nullptr) return false;
    root_ = Remove(*root_, key);
    // A root with one child, or a leaf with none, is a level too many.
    while (!root_->children.empty() && root_->children.size() == 1) {
      NodePtr child = root_->children.front();
      root_ = std::move(child);
    }
    if (root_->children.empty() && root_->entries.empty()) root_ = nullptr;
    --size_;
    return true;
  }

  // Calls visit(key, value) for all, in order.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    for (const Entry& entry : *this) visit(entry.first, entry.second);
  }

  Iterator begin() const { return Iterator(root_.get()); }
  Iterator end() const { return Iterator(); }
  // The first entry whose key is not less than `key`.
  template <class Key>
  Iterator LowerBound(const Key& key) const {
    Iterator it;
    for (const Node* node = root_.get(); node != nullptr;) {
      const size_t at = node->is_leaf() ? EntryIndex(*node, key) : ChildIndex(*node, key);
      it.path_.push_back({node, at});
      node = node->is_leaf() ? nullptr : node->children[at].get();
    }
    it.Settle();
    return it;
  }

  // Calls visit(key, before, after) for each key that `a` and `b` have with different values or
  // that only one of them has (the other pointer is null), in order. What they share is skipped, a
  // leaf at a time. REQUIRES: V has ==.
  template <class Visit>
  static void ForEachDifference(const PersistentMap& a, const PersistentMap& b, Visit&& visit) {
    if (a.root_ == b.root_) return;
    Iterator i = a.begin();
    Iterator j = b.begin();
    while (i != a.end() || j != b.end()) {
      if (i != a.end() && j != b.end() && i.AtStartOfSameLeaf(j)) {
        i.SkipLeaf();
        j.SkipLeaf();
      } else if (j == b.end() || (i != a.end() && i->first < j->first)) {
        visit(i->first, &i->second, static_cast<const V*>(nullptr));
        ++i;
      } else if (i == a.end() || j->first < i->first) {
        visit(j->first, static_cast<const V*>(nullptr), &j->second);
        ++j;
      } else {
        if (&*i != &*j && !(i->second == j->second)) visit(i->first, &i->second, &j->second);
        ++i;
        ++j;
      }
    }
  }

  friend bool operator==(const PersistentMap& a, const PersistentMap& b) {
    if (a.size_ != b.size_) return false;
    bool is_equal = true;
    ForEachDifference(a, b, [&](const K&, const V*, const V*) { is_equal = false; });
    return is_equal;
  }

 private:
  struct Node;
  using EntryPtr = std::shared_ptr<const Entry>;
  using NodePtr = std::shared_ptr<const Node>;

  // A node has up to kMax parts; one that falls under kMin is joined with a neighbour.
  static constexpr size_t kMax = 32;
  static constexpr size_t kMin = 10;

  // All leaves are at the same depth. Nodes never change once they are part of a tree.
  struct Node {
    std::vector<EntryPtr> entries = {};     // Leaf: sorted.
    std::vector<NodePtr> children = {};     // Inner node: never empty; neither is a child...
    std::vector<const K*> first_keys = {};  // ...and this is the first key below each.

    bool is_leaf() const { return children.empty(); }
    size_t size() const { return is_leaf() ? entries.size() : children.size(); }
    const K& first_key() const { return is_leaf() ? entries.front()->first : *first_keys.front(); }
  };

  static NodePtr MakeLeaf(std::vector<EntryPtr> entries) {
    auto node = std::make_shared<Node>();
    node->entries = std::move(entries);
    return node;
  }
  static NodePtr MakeInner(std::vector<NodePtr> children) {
    auto node = std::make_shared<Node>();
    node->first_keys.reserve(children.size());
    for (const NodePtr& child : children) node->first_keys.push_back(&child->first_key());
    node->children = std::move(children);
    return node;
  }

  // Where `key` is or belongs among a leaf's entries.
  template <class Key>
  static size_t EntryIndex(const Node& leaf, const Key& key) {
    const auto it = std::lower_bound(leaf.entries.begin(), leaf.entries.end(), key,
                                     [](const EntryPtr& e, const Key& k) { return e->first < k; });
    return static_cast<size_t>(it - leaf.entries.begin());
  }
  // The child whose range `key` falls in; the first one if it is before all.
  template <class Key>
  static size_t ChildIndex(const Node& inner, const Key& key) {
    const auto it = std::upper_bound(inner.first_keys.begin(), inner.first_keys.end(), key,
                                     [](const Key& k, const K* first) { return k < *first; });
    return it == inner.first_keys.begin() ? 0
                                          : static_cast<size_t>(it - inner.first_keys.begin()) - 1;
  }

  template <class Key>
  const Entry* FindEntry(const Key& key) const {
    const Node* node = root_.get();
    if (node == nullptr) return nullptr;
    while (!node->is_leaf()) node = node->children[ChildIndex(*node, key)].get();
    const size_t at = EntryIndex(*node, key);
    if (at == node->entries.size() || key < node->entries[at]->first) return nullptr;
    return node->entries[at].get();
  }

  // One node of the parts, or two halves if they are too many for one.
  template <class Part, class Make>
  static std::pair<NodePtr, NodePtr> Split(std::vector<Part> parts, Make make) {
    if (parts.size() <= kMax) return {make(std::move(parts)), nullptr};
    const auto middle = parts.begin() + static_cast<ptrdiff_t>(parts.size() / 2);
    std::vector<Part> right(std::make_move_iterator(middle), std::make_move_iterator(parts.end()));
    parts.erase(middle, parts.end());
    return {make(std::move(parts)), make(std::move(right))};
  }

  // What takes the node's place, in one or two parts.
  static std::pair<NodePtr, NodePtr> Insert(const Node& node, EntryPtr entry, bool* is_new) {
    if (node.is_leaf()) {
      const size_t at = EntryIndex(node, entry->first);
      *is_new = at == node.entries.size() || entry->first < node.entries[at]->first;
      std::vector<EntryPtr> entries;
      entries.reserve(node.entries.size() + 1);
      entries = node.entries;
      if (*is_new) {
        entries.insert(entries.begin() + static_cast<ptrdiff_t>(at), std::move(entry));
      } else {
        entries[at] = std::move(entry);
      }
      return Split(std::move(entries), MakeLeaf);
    }
    const size_t at = ChildIndex(node, entry->first);
    auto [left, right] = Insert(*node.children[at], std::move(entry), is_new);
    std::vector<NodePtr> children = node.children;
    children[at] = std::move(left);
    if (right != nullptr) {
      children.insert(children.begin() + static_cast<ptrdiff_t>(at) + 1, std::move(right));
    }
    return Split(std::move(children), MakeInner);
  }

  // The node without `key`, which it has. The result may be small, or an empty leaf.
  template <class Key>
  static NodePtr Remove(const Node& node, const Key& key) {
    if (node.is_leaf()) {
      std::vector<EntryPtr> entries = node.entries;
      entries.erase(entries.begin() + static_cast<ptrdiff_t>(EntryIndex(node, key)));
      return MakeLeaf(std::move(entries));
    }
    const size_t at = ChildIndex(node, key);
    std::vector<NodePtr> children = node.children;
    children[at] = Remove(*children[at], key);
    if (children[at]->size() < kMin && children.size() > 1) Join(children, at);
    return MakeInner(std::move(children));
  }

  // Puts child `at` and a neighbour together; again as two if they are too many for one.
  static void Join(std::vector<NodePtr>& children, size_t at) {
    const size_t left = at == 0 ? 0 : at - 1;
    const Node& a = *children[left];
    const Node& b = *children[left + 1];
    std::pair<NodePtr, NodePtr> joined;
    if (a.is_leaf()) {
      std::vector<EntryPtr> entries = a.entries;
      entries.insert(entries.end(), b.entries.begin(), b.entries.end());
      joined = Split(std::move(entries), MakeLeaf);
    } else {
      std::vector<NodePtr> grandchildren = a.children;
      grandchildren.insert(grandchildren.end(), b.children.begin(), b.children.end());
      joined = Split(std::move(grandchildren), MakeInner);
    }
    children[left] = std::move(joined.first);
    if (joined.second != nullptr) {
      children[left + 1] = std::move(joined.second);
    } else {
      children.erase(children.begin() + static_cast<ptrdiff_t>(left) + 1);
    }
  }

  NodePtr root_;
  size_t size_ = 0;
};

// Valid while the map that it came from, or a copy of it, lives unchanged.
template <class K, class V>
class PersistentMap<K, V>::Iterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = Entry;
  using difference_type = ptrdiff_t;
  using pointer = const Entry*;
  using reference = const Entry&;

  Iterator() = default;

  reference operator*() const { return *path_.back().node->entries[path_.back().at]; }
  pointer operator->() const { return &**this; }
  Iterator& operator++() {
    ++path_.back().at;
    Settle();
    return *this;
  }
  Iterator operator++(int) {
    Iterator old = *this;
    ++*this;
    return old;
  }
  friend bool operator==(const Iterator& a, const Iterator& b) {
    if (a.path_.empty() || b.path_.empty()) return a.path_.empty() == b.path_.empty();
    return &*a == &*b;
  }

 private:
  friend class PersistentMap;
  struct Step {
    const Node* node;
    size_t at;
  };

  explicit Iterator(const Node* root) {
    if (root == nullptr) return;
    path_.push_back({root, 0});
    Settle();
  }
  // Goes on to the next entry if the path's end is past its node, and down to a leaf.
  void Settle() {
    while (!path_.empty() && path_.back().at == path_.back().node->size()) {
      path_.pop_back();
      if (!path_.empty()) ++path_.back().at;
    }
    while (!path_.empty() && !path_.back().node->is_leaf()) {
      path_.push_back({path_.back().node->children[path_.back().at].get(), 0});
    }
  }
  bool AtStartOfSameLeaf(const Iterator& other) const {
    return path_.back().node == other.path_.back().node && path_.back().at == 0 &&
           other.path_.back().at == 0;
  }
  void SkipLeaf() {
    path_.back().at = path_.back().node->size();
    Settle();
  }

  // From the root to a leaf; empty at the end.
  std::vector<Step> path_;
};

}  // namespace millrace

#endif  // BASE_PERSISTENT_MAP_H_
