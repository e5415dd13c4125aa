// Feeds arbitrary bytes to every decoder of the hot messages. What is accepted must be accepted
// again after encoding, as the same value; nothing may crash.
#include <cstddef>
#include <cstdint>

#include "api/codec/fetch_codec.h"
#include "api/codec/plain_records.h"
#include "api/codec/produce_codec.h"
#include "base/bytes.h"
#include "base/check.h"

namespace millrace::api {
namespace {

template <class T, class Decode, class Encode>
void RoundTrip(const Bytes& input, Decode decode, Encode encode) {
  const absl::StatusOr<T> decoded = decode(input);
  if (!decoded.ok()) return;
  const absl::StatusOr<T> again = decode(Join(encode(*decoded)));
  CHECK(again.ok() && *again == *decoded);
}

void PackAndUnpack(const Bytes& input) {
  const absl::StatusOr<Bytes> batch = PackPlainRecords(input, 1);
  if (!batch.ok()) return;
  CHECK(UnpackPlainRecords({*batch}, Offset(0), input.size() * 4 + 100).ok());
}

}  // namespace
}  // namespace millrace::api

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace::api;  // NOLINT: a fuzz target is one function.
  const millrace::Bytes input = millrace::Bytes::Copy({reinterpret_cast<const char*>(data), size});
  RoundTrip<ProduceRequest>(input, DecodeProduceRequest, EncodeProduceRequest);
  RoundTrip<ProduceStreamRequest>(input, DecodeProduceStreamRequest, EncodeProduceStreamRequest);
  RoundTrip<ProduceResponse>(input, DecodeProduceResponse, EncodeProduceResponse);
  RoundTrip<ProduceStreamResponse>(input, DecodeProduceStreamResponse, EncodeProduceStreamResponse);
  RoundTrip<FetchRequest>(input, DecodeFetchRequest, EncodeFetchRequest);
  RoundTrip<FetchStreamRequest>(input, DecodeFetchStreamRequest, EncodeFetchStreamRequest);
  RoundTrip<FetchResponse>(input, DecodeFetchResponse, EncodeFetchResponse);
  RoundTrip<FetchStreamResponse>(input, DecodeFetchStreamResponse, EncodeFetchStreamResponse);
  PackAndUnpack(input);
  return 0;
}
