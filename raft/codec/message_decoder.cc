#include "raft/codec/message_decoder.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"
#include "raft/codec/hello_codec.h"
#include "raft/codec/message_form.h"
#include "raft/codec/message_format.h"

namespace millrace::raft {
namespace {

// Fills in fields one by one, until one cannot be read; then it leaves the rest alone.
class ReadingArchive {
 public:
  ReadingArchive(const Bytes& frame, size_t from) : frame_(frame), reader_(frame) {
    Expect(reader_.Skip(from), "frame");
  }

  absl::Status Finish() {
    Expect(reader_.empty(), "end of a message");
    if (failed_ == nullptr) return absl::OkStatus();
    return ReadFailed(reader_, failed_);
  }

  void Flag(bool& flag) {
    uint8_t byte = 0;
    Expect(reader_.ReadLittle(&byte) && byte <= 1, "flag");
    flag = byte == 1;
  }
  template <class T>
  void Position(T& position) {
    position = T(Take<typename T::Representation>("position"));
  }
  template <class T>
  void Counter(T& counter) {
    counter = T(Take<typename T::Representation>("counter"));
  }
  template <class T>
  void Number(T& number) {
    number = Take<T>("number");
  }
  void Voter(VoterId& voter) {
    voter.node = NodeId(Take<int32_t>("node id"));
    uint64_t high = 0;
    uint64_t low = 0;
    Expect(reader_.ReadBig(&high) && reader_.ReadBig(&low), "directory id");
    voter.directory = DirectoryId(Uuid(high, low));
  }
  // An entry's index follows from its place.
  void Entries(const EntryId& previous, std::vector<Entry>& entries) {
    const auto count = Take<uint32_t>("count of entries");
    const bool countable = previous.index >= LogIndex(0) && previous.index < LogIndex(kPositionMax);
    Expect(countable && count <= reader_.remaining() / kFrameEntryHeaderBytes, "count of entries");
    if (failed_ != nullptr) return;
    entries.reserve(count);
    for (uint32_t i = 0; i < count && failed_ == nullptr; ++i) {
      Entry& entry = entries.emplace_back();
      entry.index = previous.index + (int64_t{i} + 1);
      Position(entry.term);
      entry.type = static_cast<EntryType>(Take<uint8_t>("entry type"));
      Data(entry.payload);
    }
  }
  void Voters(std::vector<raft::Voter>& voters) {
    Bytes encoded;
    Data(encoded);
    if (failed_ != nullptr) return;
    auto decoded = DecodeVoters(encoded);
    Expect(decoded.ok(), "voters");
    if (decoded.ok()) voters = *std::move(decoded);
  }
  void Data(Bytes& data) {
    const auto size = Take<uint32_t>("size");
    const size_t at = reader_.position();
    Expect(reader_.Skip(size), "data");
    if (failed_ == nullptr && size > 0) data = frame_.Sub(at, size);
  }

 private:
  void Expect(bool holds, const char* what) {
    if (!holds && failed_ == nullptr) failed_ = what;
  }
  // Zero after a failure.
  template <class T>
  T Take(const char* what) {
    T value{};
    if (failed_ == nullptr) Expect(reader_.ReadLittle(&value), what);
    return value;
  }

  const Bytes& frame_;
  Reader reader_;
  // The first thing that could not be read.
  const char* failed_ = nullptr;
};

template <size_t I = 0>
bool EmplaceBody(size_t index, Message* message) {
  using Body = decltype(Message::body);
  if constexpr (I < std::variant_size_v<Body>) {
    if (index != I) return EmplaceBody<I + 1>(index, message);
    message->body.emplace<I>();
    return true;
  } else {
    return false;
  }
}

// A chunk's size is that of its data.
void Complete(Message* message) {
  if (auto* chunk = std::get_if<SnapshotChunk>(&message->body)) chunk->size = chunk->data.size();
}

}  // namespace

absl::StatusOr<Message> DecodeMessage(const Bytes& frame) {
  Reader prefix(frame);
  uint8_t version = 0;
  uint8_t kind = 0;
  if (!prefix.ReadLittle(&version)) return ReadFailed(prefix, "version");
  if (version != kFrameVersion) {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("a Raft message of version ", version, "; this node speaks ",
                                  kFrameVersion, ": upgrade the older of the two"),
                     {.name = "version", .value = absl::StrCat(version)});
  }
  Message message;
  if (!prefix.ReadLittle(&kind) || kind == 0 || !EmplaceBody(kind - size_t{1}, &message)) {
    return ReadFailed(prefix, "message kind");
  }
  ReadingArchive archive(frame, kFramePrefixBytes);
  VisitHeader(archive, message);
  std::visit([&archive](auto& body) { VisitBody(archive, body); }, message.body);
  RETURN_IF_ERROR(archive.Finish());
  Complete(&message);
  RETURN_IF_ERROR(CheckForm(message));
  return message;
}

namespace {

// Steps over a field of proto's wire format that is not known here.
bool SkipField(uint32_t tag, Reader* reader) {
  uint64_t ignored = 0;
  uint32_t size = 0;
  switch (tag & 7) {
    case 0:
      return reader->ReadVarint64(&ignored);
    case 1:
      return reader->Skip(sizeof(uint64_t));
    case 2:
      return reader->ReadVarint32(&size) && reader->Skip(size);
    case 5:
      return reader->Skip(sizeof(uint32_t));
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<ReplicateRequest> DecodeReplicateRequest(const Bytes& bytes) {
  ReplicateRequest request;
  Reader reader(bytes);
  while (!reader.empty()) {
    uint32_t tag = 0;
    if (!reader.ReadVarint32(&tag) || tag < 8) return ReadFailed(reader, "tag");
    if (tag != kHelloTag && tag != kMessageTag) {
      if (!SkipField(tag, &reader)) return ReadFailed(reader, "unknown field");
      continue;
    }
    uint32_t size = 0;
    if (!reader.ReadVarint32(&size)) return ReadFailed(reader, "size");
    const size_t at = reader.position();
    if (!reader.Skip(size)) return ReadFailed(reader, "field");
    if (tag == kHelloTag) {
      ASSIGN_OR_RETURN(request.hello, DecodeHello(bytes.slice().substr(at, size)));
    } else {
      ASSIGN_OR_RETURN(Message message, DecodeMessage(bytes.Sub(at, size)));
      request.messages.push_back(std::move(message));
    }
  }
  return request;
}

}  // namespace millrace::raft
