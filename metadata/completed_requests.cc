#include "metadata/completed_requests.h"

#include <algorithm>
#include <vector>

namespace millrace::metadata {

namespace {

bool IsOlderThan(absl::Duration age, int64_t time_ms, int64_t now_ms) {
  return time_ms < now_ms - absl::ToInt64Milliseconds(age);
}

}  // namespace

const CompletedRequest* CompletedRequests::Find(const RequestKey& key) const {
  const RequestClient* client = clients_.Find(key.client);
  return client == nullptr ? nullptr : client->requests.Find(key.sequence);
}

bool CompletedRequests::IsForgotten(const RequestKey& key) const {
  const RequestClient* client = clients_.Find(key.client);
  return client != nullptr && key.sequence <= client->forgotten_through &&
         !client->requests.Contains(key.sequence);
}

void CompletedRequests::Add(const RequestKey& key, CompletedRequest request) {
  const RequestClient* before = clients_.Find(key.client);
  RequestClient client = before == nullptr ? RequestClient() : *before;
  if (key.sequence <= client.forgotten_through) return;
  const int64_t now_ms = request.time_ms;
  client.time_ms = now_ms;
  client.index = request.index;
  Put(&client, key, std::move(request));
  SetClient(key.client, std::move(client));
  const RequestClient& after = *clients_.Find(key.client);
  if (after.requests.size() > kRepliesPerClientMax) {
    ForgetReply({key.client, after.requests.begin()->first});
  }
  ForgetOldest(now_ms);
}

void CompletedRequests::RestoreClient(RequestClientId id, const RequestClient& client) {
  if (clients_.Contains(id)) ForgetClient(id);
  SetClient(id, {.forgotten_through = client.forgotten_through,
                 .time_ms = client.time_ms,
                 .index = client.index,
                 .requests = {}});
}

void CompletedRequests::RestoreRequest(const RequestKey& key, CompletedRequest request) {
  const RequestClient* before = clients_.Find(key.client);
  RequestClient client = before == nullptr ? RequestClient() : *before;
  Put(&client, key, std::move(request));
  SetClient(key.client, std::move(client));
}

void CompletedRequests::ForEachDifference(
    const CompletedRequests& before, const CompletedRequests& after,
    const std::function<void(RequestClientId)>& visit_client,
    const std::function<void(const RequestKey&)>& visit_request) {
  const auto visit = [&](RequestClientId id, const RequestClient* old, const RequestClient* now) {
    visit_client(id);
    const RequestClient none;
    PersistentMap<int64_t, CompletedRequest>::ForEachDifference(
        old == nullptr ? none.requests : old->requests,
        now == nullptr ? none.requests : now->requests,
        [&](int64_t sequence, const CompletedRequest*, const CompletedRequest*) {
          visit_request({id, sequence});
        });
  };
  PersistentMap<RequestClientId, RequestClient>::ForEachDifference(before.clients_, after.clients_,
                                                                   visit);
}

void CompletedRequests::Put(RequestClient* client, const RequestKey& key,
                            CompletedRequest request) {
  if (const CompletedRequest* old = client->requests.Find(key.sequence); old != nullptr) {
    reply_bytes_ -= old->reply.size();
    oldest_replies_.Erase(ReplyAge(old->index, key.client, key.sequence));
  }
  reply_bytes_ += request.reply.size();
  oldest_replies_.Set(ReplyAge(request.index, key.client, key.sequence), Nothing());
  client->requests.Set(key.sequence, std::move(request));
}

void CompletedRequests::SetClient(RequestClientId id, RequestClient client) {
  if (const RequestClient* before = clients_.Find(id); before != nullptr) {
    oldest_clients_.Erase(ClientAge(before->index, id));
  }
  oldest_clients_.Set(ClientAge(client.index, id), Nothing());
  clients_.Set(id, std::move(client));
}

void CompletedRequests::ForgetReply(const RequestKey& key) {
  RequestClient client = *clients_.Find(key.client);
  const CompletedRequest& request = *client.requests.Find(key.sequence);
  reply_bytes_ -= request.reply.size();
  oldest_replies_.Erase(ReplyAge(request.index, key.client, key.sequence));
  client.requests.Erase(key.sequence);
  client.forgotten_through = std::max(client.forgotten_through, key.sequence);
  clients_.Set(key.client, std::move(client));
}

void CompletedRequests::ForgetClient(RequestClientId id) {
  const RequestClient client = *clients_.Find(id);
  client.requests.ForEach([&](int64_t sequence, const CompletedRequest& request) {
    reply_bytes_ -= request.reply.size();
    oldest_replies_.Erase(ReplyAge(request.index, id, sequence));
  });
  oldest_clients_.Erase(ClientAge(client.index, id));
  clients_.Erase(id);
}

void CompletedRequests::ForgetOldest(int64_t now_ms) {
  while (!oldest_replies_.empty()) {
    const auto& [index, client, sequence] = oldest_replies_.begin()->first;
    const RequestKey key{client, sequence};
    if (oldest_replies_.size() <= kRepliesMax && reply_bytes_ <= kReplyBytesMax &&
        !IsOlderThan(kReplyKeptFor, Find(key)->time_ms, now_ms)) {
      break;
    }
    ForgetReply(key);
  }
  while (!oldest_clients_.empty()) {
    const RequestClientId id = oldest_clients_.begin()->first.second;
    if (clients_.size() <= kClientsMax &&
        !IsOlderThan(kClientKeptFor, clients_.Find(id)->time_ms, now_ms)) {
      break;
    }
    ForgetClient(id);
  }
}

}  // namespace millrace::metadata
