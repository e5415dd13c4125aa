// RequestMemory: answers a changing request that took effect before as it was answered then, and
// remembers one that takes effect now (S-39).
//
// The memory itself is in the image (metadata/completed_requests.h); here is what a decision makes
// of it. A repeated request is decided by looking: it has no records, so it is a read, and its
// answer leaves only when the entry that had the effects is committed (S-12). What a request did
// not change is not remembered: refused again or for the first time, it is the same.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_REQUEST_MEMORY_H_
#define CONTROLLER_REQUEST_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutant.h"
#include "metadata/completed_requests.h"
#include "metadata/image.h"
#include "millrace/v1/admin_service.pb.h"
#include "rsm/record.h"

namespace millrace::controller {

// A request with an id, and what is known of it.
struct RequestInMemory {
  metadata::RequestKey key;
  uint64_t hash = 0;
  // Of the first time, encoded; absent: it did not take effect yet.
  std::optional<std::string> reply;
};

// `hash` is RequestHash of the request. Errors: INVALID_REQUEST for an id that is none, or under
// which another request took effect; OUTCOME_UNKNOWN (name "request_id") for one that is forgotten,
// or was sent before to a cluster that remembers nothing.
absl::StatusOr<RequestInMemory> LookUp(const metadata::Image& image, const v1::RequestId& id,
                                       uint64_t hash);

// Of the type's name and the encoded request without its id.
uint64_t RequestHash(absl::string_view type, absl::string_view encoded);

// OUTCOME_UNKNOWN: it took effect, but its reply is none of the type it should be.
absl::Status Unreadable(const RequestInMemory& request);

// What is to be remembered of a request that takes effect.
rsm::Record MemoryOf(const RequestInMemory& request, rsm::Now now, std::string reply);

// `decide()` where the request has not taken effect yet, the first answer where it has.
template <class Request, class DecideFunction>
auto DecideOnce(const metadata::Image& image, const Request& request, rsm::Now now,
                DecideFunction&& decide) -> decltype(decide()) {
  using Decided = decltype(decide());
  if (!request.has_request_id() || request.validate_only()) return decide();
  Request bare = request;
  bare.clear_request_id();
  const uint64_t hash = RequestHash(Request::descriptor()->full_name(), bare.SerializeAsString());
  const absl::StatusOr<RequestInMemory> known = LookUp(image, request.request_id(), hash);
  if (!known.ok()) return {known.status(), {}};
  if (known->reply.has_value()) {
    typename decltype(Decided::reply)::value_type reply;
    if (!reply.ParseFromString(*known->reply)) return {Unreadable(*known), {}};
    return {std::move(reply), {}};
  }
  Decided decision = decide();
  const bool remembers = image.feature_level() >= metadata::kCompletedRequestsLevel;
  if (remembers && decision.reply.ok() && !decision.records.empty() &&
      !MUTANT("controller.request-not-remembered")) {
    decision.records.push_back(MemoryOf(*known, now, decision.reply->SerializeAsString()));
  }
  return decision;
}

}  // namespace millrace::controller

#endif  // CONTROLLER_REQUEST_MEMORY_H_
