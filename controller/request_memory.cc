#include "controller/request_memory.h"

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::controller {

namespace {

using metadata::CompletedRequest;

constexpr char kName[] = "request_id";

std::string TextOf(const metadata::RequestKey& key) {
  return absl::StrCat(key.client.ToString(), "/", key.sequence);
}

absl::Status Forgotten(const metadata::RequestKey& key, absl::string_view why) {
  return MakeError(ErrorCode::kOutcomeUnknown,
                   absl::StrCat("what became of request ", TextOf(key), " is not known: ", why,
                                "; describe what it was to change before trying again"),
                   {.name = kName, .value = TextOf(key)});
}

}  // namespace

absl::StatusOr<RequestInMemory> LookUp(const metadata::Image& image, const v1::RequestId& id,
                                       uint64_t hash) {
  const auto client = metadata::RequestClientId::FromBytes(id.client_id());
  if (!client.ok() || client->is_zero() || id.sequence() < 1) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("a request id is a client id of 16 bytes, not all zero, and a "
                                  "sequence from 1; not ",
                                  id.client_id().size(), " bytes and ", id.sequence()),
                     {.name = kName, .value = absl::StrCat(id.sequence())});
  }
  RequestInMemory request{.key = {*client, id.sequence()}, .hash = hash, .reply = {}};
  if (image.feature_level() < metadata::kCompletedRequestsLevel) {
    if (!id.retry()) return request;
    return Forgotten(request.key, absl::StrCat("a cluster below feature level ",
                                               metadata::kCompletedRequestsLevel,
                                               " does not remember requests"));
  }
  const metadata::CompletedRequests& memory = image.completed_requests();
  if (const CompletedRequest* completed = memory.Find(request.key); completed != nullptr) {
    if (completed->request_hash != hash) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("another request took effect under the id ",
                                    TextOf(request.key), "; give each request its own"),
                       {.name = kName, .value = TextOf(request.key)});
    }
    if (!MUTANT("controller.retry-decided-anew")) request.reply = completed->reply.ToString();
    return request;
  }
  if (memory.IsForgotten(request.key)) return Forgotten(request.key, "it is too old");
  return request;
}

// FNV-1a: the same in all versions and on all machines.
uint64_t RequestHash(absl::string_view type, absl::string_view encoded) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const absl::string_view part : {type, absl::string_view("\0", 1), encoded}) {
    for (const char c : part) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return hash;
}

absl::Status Unreadable(const RequestInMemory& request) {
  return Forgotten(request.key, "it did, but its answer cannot be read any more");
}

rsm::Record MemoryOf(const RequestInMemory& request, rsm::Now now, std::string reply) {
  // The index is that of the entry, which Apply knows.
  return metadata::Encode(metadata::CompletedRequestRecordOf(
      request.key, {.request_hash = request.hash,
                    .time_ms = now.wall.ms,
                    .index = LogIndex(0),
                    .reply = Bytes::FromString(std::move(reply))}));
}

}  // namespace millrace::controller
