// LZ4 frames, as Kafka's batches v2 hold them: the standard format (lz4_Frame_format.md), with
// independent blocks, since Java clients refuse linked ones. Frames carry their content's size and
// no checksum of their own: the batch has one.
#include <lz4frame.h>

#include "base/status.h"
#include "record/codec.h"

namespace millrace::record {
namespace {

absl::Status NoMemory() {
  return MakeError(ErrorCode::kResourceExhausted, "there is no memory for lz4's tables");
}

class Lz4Encoder : public Encoder {
 public:
  explicit Lz4Encoder(absl::optional<int> level) {
    preferences_.frameInfo.blockMode = LZ4F_blockIndependent;
    // Java clients' block size, for which their readers have buffers.
    preferences_.frameInfo.blockSizeID = LZ4F_max64KB;
    // 0 is the fast mode; 3 and up are the slower, denser one.
    preferences_.compressionLevel = level.value_or(0);
    if (LZ4F_isError(LZ4F_createCompressionContext(&context_, LZ4F_VERSION))) context_ = nullptr;
  }
  ~Lz4Encoder() override { LZ4F_freeCompressionContext(context_); }
  Lz4Encoder(const Lz4Encoder&) = delete;
  Lz4Encoder& operator=(const Lz4Encoder&) = delete;

  size_t OutputMax(size_t input_bytes) const override {
    LZ4F_preferences_t preferences = preferences_;
    preferences.frameInfo.contentSize = input_bytes;
    return LZ4F_compressFrameBound(input_bytes, &preferences);
  }

  absl::StatusOr<size_t> Encode(Slice input, char* out, size_t out_bytes) override {
    if (context_ == nullptr) return NoMemory();
    preferences_.frameInfo.contentSize = input.size();
    const size_t begun = LZ4F_compressBegin(context_, out, out_bytes, &preferences_);
    if (LZ4F_isError(begun)) return NoMemory();
    // The bound is for the whole frame, so only memory can be wanting.
    const size_t written = LZ4F_compressUpdate(context_, out + begun, out_bytes - begun,
                                               input.data(), input.size(), nullptr);
    if (LZ4F_isError(written)) return NoMemory();
    const size_t so_far = begun + written;
    const size_t ended = LZ4F_compressEnd(context_, out + so_far, out_bytes - so_far, nullptr);
    if (LZ4F_isError(ended)) return NoMemory();
    return so_far + ended;
  }

 private:
  LZ4F_preferences_t preferences_ = {};
  LZ4F_cctx* context_ = nullptr;
};

class Lz4Decoder : public Decoder {
 public:
  Lz4Decoder() {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION))) context_ = nullptr;
  }
  ~Lz4Decoder() override { LZ4F_freeDecompressionContext(context_); }
  Lz4Decoder(const Lz4Decoder&) = delete;
  Lz4Decoder& operator=(const Lz4Decoder&) = delete;

  absl::Status Decode(Slice input, BoundedOutput* out) override {
    if (context_ == nullptr) return NoMemory();
    // After an error the context is in no state to go on with.
    LZ4F_resetDecompressionContext(context_);
    while (true) {
      ASSIGN_OR_RETURN(const absl::Span<char> room, out->Room());
      size_t written = room.size();
      size_t consumed = input.size();
      const size_t wanted =
          LZ4F_decompress(context_, room.data(), &written, input.data(), &consumed, nullptr);
      if (LZ4F_isError(wanted)) return DamagedData("lz4", LZ4F_getErrorName(wanted));
      out->Wrote(written);
      input.remove_prefix(consumed);
      if (wanted == 0) break;
      // With room left and no input, there will never be more.
      if (input.empty() && written < room.size()) return DamagedData("lz4", "cut off");
    }
    if (!input.empty()) return DamagedData("lz4", "something follows the frame");
    return absl::OkStatus();
  }

 private:
  LZ4F_dctx* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Encoder> NewLz4Encoder(absl::optional<int> level) {
  return std::make_unique<Lz4Encoder>(level);
}

std::unique_ptr<Decoder> NewLz4Decoder() { return std::make_unique<Lz4Decoder>(); }

}  // namespace millrace::record
