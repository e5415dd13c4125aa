#include "raft/codec/message_encoder.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/status.h"
#include "raft/codec/message_form.h"

namespace millrace::raft {
namespace {

// Adds up what the other archive writes.
class SizingArchive {
 public:
  size_t bytes() const { return bytes_; }

  void Flag(bool) { bytes_ += 1; }
  template <class T>
  void Position(T) {
    bytes_ += sizeof(typename T::Representation);
  }
  template <class T>
  void Counter(T) {
    bytes_ += sizeof(typename T::Representation);
  }
  template <class T>
  void Number(T) {
    bytes_ += sizeof(T);
  }
  void Voter(const VoterId&) { bytes_ += sizeof(int32_t) + Uuid::kSize; }
  void Entries(const EntryId&, const std::vector<Entry>& entries) {
    bytes_ += sizeof(uint32_t);
    for (const Entry& entry : entries) bytes_ += kFrameEntryHeaderBytes + entry.payload.size();
  }
  void Voters(const std::vector<raft::Voter>& voters) {
    bytes_ += sizeof(uint32_t);
    if (const auto encoded = EncodeVoters(voters); encoded.ok()) bytes_ += encoded->size();
  }
  void Data(const Bytes& data) { bytes_ += sizeof(uint32_t) + data.size(); }

 private:
  size_t bytes_ = kFramePrefixBytes;
};

size_t SizeOf(const Message& message) {
  SizingArchive archive;
  VisitHeader(archive, message);
  std::visit([&archive](const auto& body) { VisitBody(archive, body); }, message.body);
  return archive.bytes();
}

}  // namespace

class RequestWriter::Archive {
 public:
  explicit Archive(RequestWriter* writer) : writer_(*writer), out_(&writer->tail_) {}

  void Flag(bool flag) { out_->push_back(flag ? 1 : 0); }
  template <class T>
  void Position(T position) {
    AppendLittle<typename T::Representation>(position.value(), out_);
  }
  template <class T>
  void Counter(T counter) {
    AppendLittle<typename T::Representation>(counter.value(), out_);
  }
  template <class T>
  void Number(T number) {
    AppendLittle<T>(number, out_);
  }
  void Voter(const VoterId& voter) {
    AppendLittle<int32_t>(voter.node.value(), out_);
    AppendBig<uint64_t>(voter.directory.uuid().high(), out_);
    AppendBig<uint64_t>(voter.directory.uuid().low(), out_);
  }
  void Entries(const EntryId&, const std::vector<Entry>& entries) {
    AppendLittle<uint32_t>(static_cast<uint32_t>(entries.size()), out_);
    for (const Entry& entry : entries) {
      Position(entry.term);
      out_->push_back(static_cast<char>(entry.type));
      Data(entry.payload);
    }
  }
  void Voters(const std::vector<raft::Voter>& voters) {
    const auto encoded = EncodeVoters(voters);
    CHECK(encoded.ok()) << "Add has encoded them once";
    AppendLittle<uint32_t>(static_cast<uint32_t>(encoded->size()), out_);
    *out_ += *encoded;
  }
  void Data(const Bytes& data) {
    AppendLittle<uint32_t>(static_cast<uint32_t>(data.size()), out_);
    if (data.size() < kSharedPayloadBytesMin) {
      out_->append(data.data(), data.size());
    } else {
      writer_.CutTail();
      writer_.pieces_.push_back(data);
    }
  }

 private:
  RequestWriter& writer_;
  std::string* const out_;
};

absl::Status RequestWriter::Add(const Message& message) {
  RETURN_IF_ERROR(CheckForm(message));
  if (const auto* offer = std::get_if<SnapshotOffer>(&message.body)) {
    RETURN_IF_ERROR(EncodeVoters(offer->voters.voters).status());
  }
  const size_t size = SizeOf(message);
  if (size > kMessageBytesMax) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat("the message \"", Describe(message), "\" has ", size,
                                  " bytes; the maximum is ", kMessageBytesMax),
                     {.name = "message", .value = absl::StrCat(size)});
  }
  bytes_ += VarintSize(kMessageTag) + VarintSize(size) + size;
  AppendVarint(kMessageTag, &tail_);
  AppendVarint(size, &tail_);
  tail_.push_back(static_cast<char>(kFrameVersion));
  tail_.push_back(static_cast<char>(message.body.index() + 1));
  Archive archive(this);
  VisitHeader(archive, message);
  std::visit([&archive](const auto& body) { VisitBody(archive, body); }, message.body);
  return absl::OkStatus();
}

void RequestWriter::CutTail() { pieces_.push_back(Bytes::FromString(std::exchange(tail_, {}))); }

Pieces RequestWriter::Finish() {
  if (!tail_.empty()) CutTail();
  bytes_ = 0;
  return std::exchange(pieces_, {});
}

}  // namespace millrace::raft
