// gzip (RFC 1952) by zlib. Java's GZIPInputStream reads several members in a row, so do we.
#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/status.h"
#include "record/codec.h"

namespace millrace::record {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // the largest window; + 16 means a gzip header
constexpr int kMemoryLevel = 8;           // zlib's default

// zlib counts in 32 bits; a batch is smaller than that.
uInt Chunk(size_t bytes) {
  return static_cast<uInt>(std::min<size_t>(bytes, std::numeric_limits<uInt>::max()));
}

Bytef* In(const char* from) { return reinterpret_cast<Bytef*>(const_cast<char*>(from)); }

// Its state is about 256 KiB: the reason why encoders are kept from batch to batch.
class GzipEncoder : public Encoder {
 public:
  explicit GzipEncoder(absl::optional<int> level) {
    ready_ = deflateInit2(&stream_, level.value_or(Z_DEFAULT_COMPRESSION), Z_DEFLATED,
                          kGzipWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~GzipEncoder() override {
    if (ready_) deflateEnd(&stream_);
  }
  GzipEncoder(const GzipEncoder&) = delete;
  GzipEncoder& operator=(const GzipEncoder&) = delete;

  size_t OutputMax(size_t input_bytes) const override {
    return deflateBound(const_cast<z_stream*>(&stream_), input_bytes);
  }

  absl::StatusOr<size_t> Encode(Slice input, char* out, size_t out_bytes) override {
    CHECK_LE(input.size(), std::numeric_limits<uInt>::max());
    if (!ready_) {
      return MakeError(ErrorCode::kResourceExhausted, "there is no memory for gzip's tables");
    }
    stream_.next_in = In(input.data());
    stream_.avail_in = Chunk(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = Chunk(out_bytes);
    const int result = deflate(&stream_, Z_FINISH);
    CHECK_EQ(result, Z_STREAM_END) << "deflateBound did not bound";
    const size_t size = stream_.total_out;
    // Now, not before the next input: deflateBound is right only for a stream that has not ended.
    CHECK_EQ(deflateReset(&stream_), Z_OK);
    return size;
  }

 private:
  z_stream stream_ = {};
  bool ready_ = false;
};

class GzipDecoder : public Decoder {
 public:
  GzipDecoder() { ready_ = inflateInit2(&stream_, kGzipWindowBits) == Z_OK; }
  ~GzipDecoder() override {
    if (ready_) inflateEnd(&stream_);
  }
  GzipDecoder(const GzipDecoder&) = delete;
  GzipDecoder& operator=(const GzipDecoder&) = delete;

  absl::Status Decode(Slice input, BoundedOutput* out) override {
    if (input.size() > std::numeric_limits<uInt>::max()) return DamagedData("gzip", "over 4 GiB");
    stream_.next_in = In(input.data());
    stream_.avail_in = Chunk(input.size());
    // Each member has a header and a trailer with the CRC and size of its own content.
    do {
      if (!ready_ || inflateReset(&stream_) != Z_OK) {
        return MakeError(ErrorCode::kResourceExhausted, "there is no memory for gzip's tables");
      }
      RETURN_IF_ERROR(DecodeMember(out));
    } while (stream_.avail_in > 0);
    return absl::OkStatus();
  }

 private:
  absl::Status DecodeMember(BoundedOutput* out) {
    while (true) {
      ASSIGN_OR_RETURN(const absl::Span<char> room, out->Room());
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());
      stream_.avail_out = Chunk(room.size());
      const uInt given = stream_.avail_out;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      out->Wrote(given - stream_.avail_out);
      if (result == Z_STREAM_END) return absl::OkStatus();
      if (result == Z_MEM_ERROR) {
        return MakeError(ErrorCode::kResourceExhausted, "there is no memory for gzip's window");
      }
      if (result != Z_OK && result != Z_BUF_ERROR) {
        return DamagedData("gzip", stream_.msg != nullptr ? stream_.msg : "no gzip stream");
      }
      // With room left and no input, there will never be more.
      if (stream_.avail_in == 0 && stream_.avail_out > 0) return DamagedData("gzip", "cut off");
    }
  }

  z_stream stream_ = {};
  bool ready_ = false;
};

}  // namespace

std::unique_ptr<Encoder> NewGzipEncoder(absl::optional<int> level) {
  return std::make_unique<GzipEncoder>(level);
}

std::unique_ptr<Decoder> NewGzipDecoder() { return std::make_unique<GzipDecoder>(); }

}  // namespace millrace::record
