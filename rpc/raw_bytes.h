// Between gRPC's byte buffers (lists of counted slices) and our Bytes, with as few copies as can
// be: inbound one, from the network library's slices into blocks of the right size, made by Flatten
// or by whoever reads a ReceivedMessage in its pieces; outbound none.
//
// Thread: any (pure functions over values). A slice made from Bytes gives its reference back on
// whichever thread gRPC drops it.
#ifndef RPC_RAW_BYTES_H_
#define RPC_RAW_BYTES_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/memory_budget.h"

namespace millrace::rpc {

// One outbound message, as the pieces it is made of, in order.
using BytesList = absl::InlinedVector<Bytes, 4>;

// An inbound message, in the network library's memory, and its share of the memory budget. Movable.
class ReceivedMessage {
 public:
  ReceivedMessage() = default;

  // Errors: CORRUPT_MESSAGE for a compressed message that does not unpack.
  static absl::StatusOr<ReceivedMessage> Open(const grpc::ByteBuffer& buffer,
                                              Reservation reservation = {});

  // In order; valid as long as this.
  absl::Span<const Slice> pieces() const { return pieces_; }
  size_t size() const;
  // Given back with this; whoever copies pieces out may split it.
  Reservation* reservation() { return &reservation_; }

  // All bytes, copied into memory that carries the reservation; this is spent.
  Bytes Flatten() &&;
  // So that a handler may take plain Bytes.
  operator Bytes() && { return std::move(*this).Flatten(); }  // NOLINT

 private:
  // The slices do not move: small ones hold their bytes in themselves.
  std::vector<grpc::Slice> slices_;
  std::vector<Slice> pieces_;
  Reservation reservation_;
};

// The message's bytes, copied once into memory that carries `reservation`. Errors: CORRUPT_MESSAGE
// for a compressed message that does not unpack.
absl::StatusOr<Bytes> Flatten(const grpc::ByteBuffer& buffer, Reservation reservation = {});

// As Flatten, but a message that lies in one slice is shared, not copied: it then pins the network
// library's whole read chunk, so this is for messages that are soon dropped.
absl::StatusOr<Bytes> View(const grpc::ByteBuffer& buffer);

// A message of these pieces, sharing their memory until gRPC has sent it. Tiny pieces (up to gRPC's
// inline size, 23 bytes) are copied: that is cheaper than to count them.
grpc::ByteBuffer ToByteBuffer(const BytesList& pieces);

// Total size of the pieces.
size_t TotalSize(const BytesList& pieces);

}  // namespace millrace::rpc

#endif  // RPC_RAW_BYTES_H_
