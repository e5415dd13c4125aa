// Numbers as bytes: fixed integers in both byte orders, and the varints of Kafka's record format v2
// (unsigned LEB128; signed ones zig-zag first, as in Protocol Buffers' sint32 and sint64).
//
// Append...() write to the end of a string, Store...() into memory, Load...() read it back. Reader
// takes a run of bytes apart and never looks past its end: what it is given came from a disk or a
// peer, so a short or malformed input is an answer, not a CHECK.
//
// Thread: any (functions of values; a Reader has one owner).
#ifndef BASE_CODING_H_
#define BASE_CODING_H_

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/status.h"

namespace millrace {

// The longest encodings of a 32- and a 64-bit varint.
inline constexpr size_t kVarint32SizeMax = 5;
inline constexpr size_t kVarint64SizeMax = 10;

namespace internal {

template <std::integral T>
T SwapBytes(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
}

template <std::integral T>
T ToBigEndian(T value) {
  return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? value : SwapBytes(value);
}
template <std::integral T>
T ToLittleEndian(T value) {
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : SwapBytes(value);
}

}  // namespace internal

// Big-endian, as on Kafka's wire. T is said by the caller: StoreBig<int32_t>(p, x). No alignment is
// asked of the memory. REQUIRES: sizeof(T) bytes at `at`.
template <std::integral T>
void StoreBig(char* at, std::type_identity_t<T> value) {
  value = internal::ToBigEndian(value);
  std::memcpy(at, &value, sizeof(T));
}
template <std::integral T>
T LoadBig(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return internal::ToBigEndian(value);
}
template <std::integral T>
void AppendBig(std::type_identity_t<T> value, std::string* out) {
  value = internal::ToBigEndian(value);
  out->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// Little-endian, as in our own files.
template <std::integral T>
void StoreLittle(char* at, std::type_identity_t<T> value) {
  value = internal::ToLittleEndian(value);
  std::memcpy(at, &value, sizeof(T));
}
template <std::integral T>
T LoadLittle(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return internal::ToLittleEndian(value);
}
template <std::integral T>
void AppendLittle(std::type_identity_t<T> value, std::string* out) {
  value = internal::ToLittleEndian(value);
  out->append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// Zig-zag: small numbers of either sign become small unsigned ones.
constexpr uint32_t ZigZag32(int32_t value) {
  return (static_cast<uint32_t>(value) << 1) ^ static_cast<uint32_t>(value >> 31);
}
constexpr uint64_t ZigZag64(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
constexpr int32_t UnZigZag32(uint32_t value) {
  return static_cast<int32_t>((value >> 1) ^ (~(value & 1) + 1));
}
constexpr int64_t UnZigZag64(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

// Bytes that the varint of `value` takes; for a signed one pass ZigZag...(value).
constexpr size_t VarintSize(uint64_t value) {
  // Seven bits to a byte; the bit width of zero counts as one.
  return (70 - static_cast<size_t>(__builtin_clzll(value | 1))) / 7;
}

// Writes the varint of `value` and returns the first byte after it.
// REQUIRES: VarintSize(value) bytes at `at`.
inline char* StoreVarint(char* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}

inline void AppendVarint(uint64_t value, std::string* out) {
  char buffer[kVarint64SizeMax];
  out->append(buffer, static_cast<size_t>(StoreVarint(buffer, value) - buffer));
}
// What Kafka's record format calls varint and varlong.
inline void AppendSignedVarint32(int32_t value, std::string* out) {
  AppendVarint(ZigZag32(value), out);
}
inline void AppendSignedVarint64(int64_t value, std::string* out) {
  AppendVarint(ZigZag64(value), out);
}

// Takes bytes from the front of a borrowed run. Each Read... returns false, and leaves both its
// argument and the position alone, if what is left is too short or not a valid encoding.
class Reader {
 public:
  explicit Reader(Slice data) : data_(data), size_(data.size()) {}

  size_t remaining() const { return data_.size(); }
  bool empty() const { return data_.empty(); }
  // Bytes taken so far.
  size_t position() const { return size_ - data_.size(); }
  // All that is left, without taking it.
  Slice rest() const { return data_; }

  template <std::integral T>
  [[nodiscard]] bool ReadBig(T* out) {
    if (data_.size() < sizeof(T)) return false;
    *out = LoadBig<T>(data_.data());
    data_.remove_prefix(sizeof(T));
    return true;
  }
  template <std::integral T>
  [[nodiscard]] bool ReadLittle(T* out) {
    if (data_.size() < sizeof(T)) return false;
    *out = LoadLittle<T>(data_.data());
    data_.remove_prefix(sizeof(T));
    return true;
  }

  // A 32-bit varint is refused if its value has more bits; so is one that goes on too long. Padded
  // encodings (leading zero groups) within the maximal size are accepted, as Kafka accepts them.
  [[nodiscard]] bool ReadVarint32(uint32_t* out) {
    uint64_t value = 0;
    const size_t used = DecodeVarint(kVarint32SizeMax, &value);
    if (used == 0 || value > 0xffffffffu) return false;
    *out = static_cast<uint32_t>(value);
    data_.remove_prefix(used);
    return true;
  }
  [[nodiscard]] bool ReadVarint64(uint64_t* out) {
    const size_t used = DecodeVarint(kVarint64SizeMax, out);
    data_.remove_prefix(used);
    return used != 0;
  }
  [[nodiscard]] bool ReadSignedVarint32(int32_t* out) {
    uint32_t value = 0;
    if (!ReadVarint32(&value)) return false;
    *out = UnZigZag32(value);
    return true;
  }
  [[nodiscard]] bool ReadSignedVarint64(int64_t* out) {
    uint64_t value = 0;
    if (!ReadVarint64(&value)) return false;
    *out = UnZigZag64(value);
    return true;
  }

  // The next `length` bytes, borrowed from the input.
  [[nodiscard]] bool ReadBytes(size_t length, Slice* out) {
    if (data_.size() < length) return false;
    *out = data_.substr(0, length);
    data_.remove_prefix(length);
    return true;
  }
  [[nodiscard]] bool Skip(size_t length) {
    Slice ignored;
    return ReadBytes(length, &ignored);
  }

 private:
  // Bytes used, or 0 (and `out` untouched) if no varint of at most `size_max` bytes stands here.
  size_t DecodeVarint(size_t size_max, uint64_t* out) const {
    uint64_t value = 0;
    const size_t end = data_.size() < size_max ? data_.size() : size_max;
    for (size_t i = 0; i < end; ++i) {
      const uint64_t byte = static_cast<uint8_t>(data_[i]);
      // The tenth byte of a 64-bit varint holds its last bit only.
      if (i == kVarint64SizeMax - 1 && byte > 1) return 0;
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        *out = value;
        return i + 1;
      }
    }
    return 0;
  }

  Slice data_;
  size_t size_;
};

// The error for a Reader that said false: CORRUPT_MESSAGE, naming what was read and where.
inline absl::Status ReadFailed(const Reader& reader, absl::string_view what) {
  return MakeError(ErrorCode::kCorruptMessage,
                   "malformed or truncated " + std::string(what) + " at byte " +
                       std::to_string(reader.position()) + " (" +
                       std::to_string(reader.remaining()) + " bytes left)",
                   {.name = std::string(what)});
}

}  // namespace millrace

#endif  // BASE_CODING_H_
