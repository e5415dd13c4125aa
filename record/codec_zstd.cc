// zstd frames (RFC 8878). Java clients write them without a content size, python-kafka with one;
// several in a row are one stream.
#include <zstd.h>

#include <algorithm>
#include <bit>

#include "base/status.h"
#include "record/codec.h"

namespace millrace::record {
namespace {

absl::Status NoMemory() {
  return MakeError(ErrorCode::kResourceExhausted, "there is no memory for zstd's tables");
}

class ZstdEncoder : public Encoder {
 public:
  explicit ZstdEncoder(absl::optional<int> level) : context_(ZSTD_createCCtx()) {
    if (context_ == nullptr) return;
    // The batch has a checksum; the content size spares readers a guess.
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 0);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level.value_or(ZSTD_CLEVEL_DEFAULT));
  }
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }
  ZstdEncoder(const ZstdEncoder&) = delete;
  ZstdEncoder& operator=(const ZstdEncoder&) = delete;

  size_t OutputMax(size_t input_bytes) const override { return ZSTD_compressBound(input_bytes); }

  absl::StatusOr<size_t> Encode(Slice input, char* out, size_t out_bytes) override {
    if (context_ == nullptr) return NoMemory();
    const size_t size = ZSTD_compress2(context_, out, out_bytes, input.data(), input.size());
    // The bound holds, so only memory can be wanting.
    if (ZSTD_isError(size)) return NoMemory();
    return size;
  }

 private:
  ZSTD_CCtx* context_;
};

class ZstdDecoder : public Decoder {
 public:
  explicit ZstdDecoder(size_t window_bytes_max) : context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) return;
    // zstd's own range for what a decoder accepts by default: 1 KiB to 128 MiB.
    const int window_log = std::clamp(static_cast<int>(std::bit_width(window_bytes_max)), 10, 27);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, window_log);
  }
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

  absl::Status Decode(Slice input, BoundedOutput* out) override {
    if (context_ == nullptr) return NoMemory();
    ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
    RETURN_IF_ERROR(MakeRoom(input, out));
    ZSTD_inBuffer in = {input.data(), input.size(), 0};
    size_t wanted = 1;  // 0 at the end of a frame
    while (true) {
      if (wanted == 0 && in.pos == in.size) return absl::OkStatus();
      ASSIGN_OR_RETURN(const absl::Span<char> room, out->Room());
      ZSTD_outBuffer to = {room.data(), room.size(), 0};
      const size_t before = in.pos;
      wanted = ZSTD_decompressStream(context_, &to, &in);
      if (ZSTD_isError(wanted)) return DamagedData("zstd", ZSTD_getErrorName(wanted));
      out->Wrote(to.pos);
      // With room left and no progress on the input, there will never be more.
      if (wanted != 0 && in.pos == in.size && to.pos < to.size) {
        return DamagedData("zstd", "cut off");
      }
      // The library reports this itself after a few tries; input must not decide how many.
      if (wanted != 0 && in.pos == before && to.pos == 0) return DamagedData("zstd", "stuck");
    }
  }

 private:
  // If the frame says how large its content is, all of it fits at once, and zstd needs no window.
  static absl::Status MakeRoom(Slice input, BoundedOutput* out) {
    const unsigned long long bytes = ZSTD_getFrameContentSize(input.data(), input.size());
    if (bytes == ZSTD_CONTENTSIZE_UNKNOWN) return absl::OkStatus();
    if (bytes == ZSTD_CONTENTSIZE_ERROR) return DamagedData("zstd", "no frame header");
    return out->Room(static_cast<size_t>(bytes)).status();
  }

  ZSTD_DCtx* context_;
};

}  // namespace

std::unique_ptr<Encoder> NewZstdEncoder(absl::optional<int> level) {
  return std::make_unique<ZstdEncoder>(level);
}

std::unique_ptr<Decoder> NewZstdDecoder(size_t window_bytes_max) {
  return std::make_unique<ZstdDecoder>(window_bytes_max);
}

}  // namespace millrace::record
