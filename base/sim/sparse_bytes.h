// SparseBytes: the contents of a simulated file, in pages that copies share until one writes.
//
// Zero pages take no memory and a copy costs a pointer a page, so that a crash image of a directory
// with preallocated segments can be taken after every call of a workload.
//
// Thread: one.
#ifndef BASE_SIM_SPARSE_BYTES_H_
#define BASE_SIM_SPARSE_BYTES_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "base/bytes.h"

namespace millrace::sim {

class SparseBytes {
 public:
  static constexpr uint64_t kPageSize = 4096;

  uint64_t size() const { return size_; }

  // Fills `out` from `offset`; returns how many bytes were there.
  size_t Read(uint64_t offset, absl::Span<char> out) const;
  // Grows (with zeros in any gap) where needed.
  void Write(uint64_t offset, Slice data);
  void Zero(uint64_t offset, uint64_t length);
  // Cuts, or grows with zeros.
  void Resize(uint64_t size);
  // Makes page `page` (bytes from page * kPageSize on) that of `other`. Sizes stay as they are, so
  // resize first. REQUIRES: both have the page.
  void SharePage(const SparseBytes& other, uint64_t page);
  // Flips bit `bit % 8` of byte `bit / 8`. REQUIRES: within size().
  void FlipBit(uint64_t bit);

 private:
  using Page = std::array<char, kPageSize>;

  // The page for writing: this object's own.
  Page& Own(uint64_t page);

  uint64_t size_ = 0;
  // Null is a page of zeros. Bytes beyond size_ are zero always.
  std::vector<std::shared_ptr<Page>> pages_;
};

}  // namespace millrace::sim

#endif  // BASE_SIM_SPARSE_BYTES_H_
