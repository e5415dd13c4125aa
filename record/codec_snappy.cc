// snappy in the framing of xerial's snappy-java, which Kafka's Java clients use: a header of 16
// bytes (8 of magic, version, lowest compatible version), then blocks of {int32 length, raw
// snappy}, all big-endian. Raw snappy without framing, as librdkafka writes it, is read too: it
// cannot begin with the magic, since after the length 0x2982 (82 53) the tag 4E would copy from
// before the start.
#include <snappy.h>

#include <cstring>

#include "base/coding.h"
#include "base/status.h"
#include "record/codec.h"

namespace millrace::record {
namespace {

constexpr char kMagicBytes[] = {'\x82', 'S', 'N', 'A', 'P', 'P', 'Y', '\0'};
constexpr size_t kFrameHeaderSize = sizeof(kMagicBytes) + 8;
constexpr int32_t kFrameVersion = 1;
// What snappy-java puts into a block, at most; it is the unit in which a reader needs memory.
constexpr size_t kBlockBytes = 32 * 1024;
constexpr size_t kBlockHeaderSize = 4;

bool BeginsFrame(Slice input) {
  return input.size() >= kFrameHeaderSize &&
         std::memcmp(input.data(), kMagicBytes, sizeof(kMagicBytes)) == 0;
}

class SnappyEncoder : public Encoder {
 public:
  size_t OutputMax(size_t input_bytes) const override {
    const size_t blocks = (input_bytes + kBlockBytes - 1) / kBlockBytes;
    return kFrameHeaderSize +
           blocks * (kBlockHeaderSize + snappy::MaxCompressedLength(kBlockBytes));
  }

  absl::StatusOr<size_t> Encode(Slice input, char* out, size_t /*out_bytes*/) override {
    char* to = out;
    std::memcpy(to, kMagicBytes, sizeof(kMagicBytes));
    StoreBig<int32_t>(to + 8, kFrameVersion);
    StoreBig<int32_t>(to + 12, kFrameVersion);  // readable by readers of this version on
    to += kFrameHeaderSize;
    while (!input.empty()) {
      const Slice block = input.substr(0, kBlockBytes);
      size_t block_bytes = 0;
      snappy::RawCompress(block.data(), block.size(), to + kBlockHeaderSize, &block_bytes);
      StoreBig<int32_t>(to, static_cast<int32_t>(block_bytes));
      to += kBlockHeaderSize + block_bytes;
      input.remove_prefix(block.size());
    }
    return static_cast<size_t>(to - out);
  }
};

class SnappyDecoder : public Decoder {
 public:
  absl::Status Decode(Slice input, BoundedOutput* out) override {
    return BeginsFrame(input) ? DecodeFrames(input, out) : DecodeRaw(input, out);
  }

 private:
  static absl::Status DecodeFrames(Slice input, BoundedOutput* out) {
    while (!input.empty()) {
      // snappy-java allows streams to be concatenated, so a header may stand where a block would.
      if (BeginsFrame(input)) {
        const int32_t compatible = LoadBig<int32_t>(input.data() + 12);
        if (compatible > kFrameVersion)
          return DamagedData("snappy", "a framing of a newer version");
        input.remove_prefix(kFrameHeaderSize);
        continue;
      }
      if (input.size() < kBlockHeaderSize) return DamagedData("snappy", "cut off before a block");
      const int32_t block_bytes = LoadBig<int32_t>(input.data());
      input.remove_prefix(kBlockHeaderSize);
      if (block_bytes < 0 || static_cast<size_t>(block_bytes) > input.size()) {
        return DamagedData("snappy", "a block is cut off");
      }
      RETURN_IF_ERROR(DecodeRaw(input.substr(0, static_cast<size_t>(block_bytes)), out));
      input.remove_prefix(static_cast<size_t>(block_bytes));
    }
    return absl::OkStatus();
  }

  static absl::Status DecodeRaw(Slice input, BoundedOutput* out) {
    size_t bytes = 0;
    if (!snappy::GetUncompressedLength(input.data(), input.size(), &bytes)) {
      return DamagedData("snappy", "no length");
    }
    ASSIGN_OR_RETURN(const absl::Span<char> room, out->Room(bytes));
    if (!snappy::RawUncompress(input.data(), input.size(), room.data())) {
      return DamagedData("snappy", "a block does not decompress");
    }
    out->Wrote(bytes);
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Encoder> NewSnappyEncoder() { return std::make_unique<SnappyEncoder>(); }

std::unique_ptr<Decoder> NewSnappyDecoder() { return std::make_unique<SnappyDecoder>(); }

}  // namespace millrace::record
