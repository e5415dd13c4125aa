#include "base/sim/sparse_bytes.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace millrace::sim {

SparseBytes::Page& SparseBytes::Own(uint64_t page) {
  std::shared_ptr<Page>& held = pages_[page];
  if (held == nullptr) {
    held = std::make_shared<Page>();
  } else if (held.use_count() > 1) {
    held = std::make_shared<Page>(*held);
  }
  return *held;
}

size_t SparseBytes::Read(uint64_t offset, absl::Span<char> out) const {
  if (offset >= size_) return 0;
  const size_t length = std::min<uint64_t>(out.size(), size_ - offset);
  for (size_t done = 0; done < length;) {
    const uint64_t at = offset + done;
    const size_t within = at % kPageSize;
    const size_t piece = std::min<size_t>(length - done, kPageSize - within);
    const std::shared_ptr<Page>& page = pages_[at / kPageSize];
    if (page == nullptr) {
      std::memset(out.data() + done, 0, piece);
    } else {
      std::memcpy(out.data() + done, page->data() + within, piece);
    }
    done += piece;
  }
  return length;
}

void SparseBytes::Write(uint64_t offset, Slice data) {
  if (data.empty()) return;
  if (offset + data.size() > size_) Resize(offset + data.size());
  for (size_t done = 0; done < data.size();) {
    const uint64_t at = offset + done;
    const size_t within = at % kPageSize;
    const size_t piece = std::min<size_t>(data.size() - done, kPageSize - within);
    std::memcpy(Own(at / kPageSize).data() + within, data.data() + done, piece);
    done += piece;
  }
}

void SparseBytes::Zero(uint64_t offset, uint64_t length) {
  if (length == 0) return;
  if (offset + length > size_) Resize(offset + length);
  for (uint64_t done = 0; done < length;) {
    const uint64_t at = offset + done;
    const size_t within = at % kPageSize;
    const size_t piece = std::min<uint64_t>(length - done, kPageSize - within);
    if (piece == kPageSize) {
      pages_[at / kPageSize] = nullptr;
    } else if (pages_[at / kPageSize] != nullptr) {
      std::memset(Own(at / kPageSize).data() + within, 0, piece);
    }
    done += piece;
  }
}

void SparseBytes::Resize(uint64_t size) {
  pages_.resize((size + kPageSize - 1) / kPageSize);
  const size_t within = size % kPageSize;
  if (size < size_ && within != 0 && pages_.back() != nullptr) {
    std::memset(Own(pages_.size() - 1).data() + within, 0, kPageSize - within);
  }
  size_ = size;
}

void SparseBytes::SharePage(const SparseBytes& other, uint64_t page) {
  CHECK(page < pages_.size() && page < other.pages_.size()) << page;
  pages_[page] = other.pages_[page];
}

void SparseBytes::FlipBit(uint64_t bit) {
  CHECK_LT(bit / 8, size_);
  char& byte = Own(bit / 8 / kPageSize)[bit / 8 % kPageSize];
  byte = static_cast<char>(byte ^ (1 << (bit % 8)));
}

}  // namespace millrace::sim
