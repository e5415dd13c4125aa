// WillingPeers: a transport that plays the other voters of a quorum, for tests of what its leader
// does.
//
// Thread: the owner's.
#ifndef NODE_TESTING_WILLING_PEERS_H_
#define NODE_TESTING_WILLING_PEERS_H_

#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "base/executor.h"
#include "raft/host/transport.h"
#include "raft/messages.h"

namespace millrace::node {

// Answers for the other voters at once: they have whatever they are sent.
class WillingPeers : public raft::Transport {
 public:
  explicit WillingPeers(Executor* owner) : owner_(owner) {}

  void SetReceiver(raft::TransportReceiver* receiver) override { receiver_ = receiver; }
  void SetPeers(std::vector<raft::Peer>) override {}
  void Send(std::vector<raft::Message> messages) override {
    for (const raft::Message& message : messages) {
      if (!Hears(message.to)) continue;
      raft::Message answer{message.to, message.from, message.term, {}};
      if (const auto* vote = std::get_if<raft::VoteRequest>(&message.body)) {
        answer.body = raft::VoteResponse{vote->pre_vote, vote->campaign_term, true};
      } else if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
        raft::AppendResponse accepted{.accepted = true, .round = append->round};
        accepted.match = append->previous.index + static_cast<int64_t>(append->entries.size());
        answer.body = accepted;
      } else {
        if (std::holds_alternative<raft::TimeoutNow>(message.body)) {
          asked_to_lead.insert(message.to);
        }
        continue;
      }
      owner_->Post([this, answer] {
        if (receiver_ != nullptr) receiver_->OnMessage(answer);
      });
    }
  }

  // Gone, and never heard again.
  raft::VoterId silent;
  // Voters to whom leadership was handed, which they do not take.
  std::set<raft::VoterId> asked_to_lead;

 private:
  virtual bool Hears(const raft::VoterId& voter) const { return voter != silent; }

  Executor* const owner_;
  raft::TransportReceiver* receiver_ = nullptr;
};

}  // namespace millrace::node

#endif  // NODE_TESTING_WILLING_PEERS_H_
