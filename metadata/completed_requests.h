// CompletedRequests: which requests of which clients have taken effect, and how they were answered,
// so that a request sent again after its answer was lost is answered as the first time (S-39).
//
// Part of the image: a request's id, hash and reply are a record of the very entry that has its
// effects, so it is remembered exactly if it happened. What is remembered is bounded, and forgotten
// while a record is applied and at no other time, by what the records say and by nothing else: all
// nodes forget the same at the same index.
//
// Two steps of forgetting. A reply goes first; its client keeps a mark, the highest sequence of a
// reply that is gone, so that an id at or below it is known to be too old to say anything about. A
// client that was silent for a day, or the most silent one of too many, is forgotten whole: after
// that nothing tells a very late retry from a new request. No client of ours waits so long.
//
// Thread: any (a value; copies are cheap).
// Source: S-39; Raft thesis 6.3, without its session of an own entry for each client.
#ifndef METADATA_COMPLETED_REQUESTS_H_
#define METADATA_COMPLETED_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <tuple>
#include <utility>

#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/persistent_map.h"
#include "base/uuid.h"

namespace millrace::metadata {

// Draws ids for its requests: one process of a client.
using RequestClientId = StrongUuid<struct RequestClientIdTag>;

// Ids of one client are numbered upwards.
struct RequestKey {
  RequestClientId client;
  int64_t sequence = 0;

  friend constexpr auto operator<=>(const RequestKey&, const RequestKey&) = default;
};

struct CompletedRequest {
  // Tells another request under the same id from the same one again.
  uint64_t request_hash = 0;
  // The leader's wall clock, as the record says.
  int64_t time_ms = 0;
  // Of the entry that it is part of.
  LogIndex index;
  // The encoded response.
  Bytes reply;

  friend bool operator==(const CompletedRequest&, const CompletedRequest&) = default;
};

struct RequestClient {
  // The highest sequence whose reply was forgotten; 0: none was.
  int64_t forgotten_through = 0;
  // Of its latest completed request.
  int64_t time_ms = 0;
  LogIndex index;
  // By sequence.
  PersistentMap<int64_t, CompletedRequest> requests;

  friend bool operator==(const RequestClient&, const RequestClient&) = default;
};

class CompletedRequests {
 public:
  // Bounds of what is remembered. They are part of what an entry means: another bound is another
  // feature level.
  static constexpr absl::Duration kReplyKeptFor = absl::Minutes(15);
  static constexpr size_t kRepliesMax = 4096;
  static constexpr size_t kRepliesPerClientMax = 256;
  static constexpr size_t kReplyBytesMax = 8 << 20;
  static constexpr absl::Duration kClientKeptFor = absl::Hours(24);
  static constexpr size_t kClientsMax = 16384;

  // Null if nothing is known of it. Pointers live as long as this value.
  const RequestClient* FindClient(RequestClientId client) const { return clients_.Find(client); }
  const CompletedRequest* Find(const RequestKey& key) const;
  // Whether the id is so old that its fate is not known any more.
  bool IsForgotten(const RequestKey& key) const;

  // `request` took effect; forgets what is too old, or too much, by its time. Total: an id at or
  // below its client's mark is dropped.
  void Add(const RequestKey& key, CompletedRequest request);

  // What an image kept elsewhere says, as it is. A client before its requests.
  void RestoreClient(RequestClientId id, const RequestClient& client);
  void RestoreRequest(const RequestKey& key, CompletedRequest request);

  size_t client_count() const { return clients_.size(); }
  size_t reply_count() const { return oldest_replies_.size(); }
  // Of all replies kept.
  size_t reply_bytes() const { return reply_bytes_; }

  // In order of client.
  void ForEachClient(
      const std::function<void(RequestClientId, const RequestClient&)>& visit) const {
    clients_.ForEach(visit);
  }
  // Calls for each client, and for each request, that differs or is in one of the two only.
  static void ForEachDifference(const CompletedRequests& before, const CompletedRequests& after,
                                const std::function<void(RequestClientId)>& visit_client,
                                const std::function<void(const RequestKey&)>& visit_request);

  friend bool operator==(const CompletedRequests& a, const CompletedRequests& b) {
    return a.clients_ == b.clients_;
  }

 private:
  // In the order of the log.
  using ReplyAge = std::tuple<LogIndex, RequestClientId, int64_t>;
  using ClientAge = std::pair<LogIndex, RequestClientId>;
  struct Nothing {
    friend bool operator==(const Nothing&, const Nothing&) = default;
  };

  void Put(RequestClient* client, const RequestKey& key, CompletedRequest request);
  void SetClient(RequestClientId id, RequestClient client);
  void ForgetReply(const RequestKey& key);
  void ForgetClient(RequestClientId id);
  void ForgetOldest(int64_t now_ms);

  PersistentMap<RequestClientId, RequestClient> clients_;
  // What follows from clients_: who is the oldest, and how much there is.
  PersistentMap<ReplyAge, Nothing> oldest_replies_;
  PersistentMap<ClientAge, Nothing> oldest_clients_;
  size_t reply_bytes_ = 0;
};

}  // namespace millrace::metadata

#endif  // METADATA_COMPLETED_REQUESTS_H_
