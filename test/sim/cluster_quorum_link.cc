#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "test/sim/cluster_links.h"

namespace millrace::sim {
namespace {

constexpr char kHostPrefix[] = "node";

}  // namespace

std::string ControllerAddressOf(int host) { return absl::StrCat(kHostPrefix, host, ":9093"); }
std::string BrokerAddressOf(int host) { return absl::StrCat(kHostPrefix, host, ":9092"); }

int HostOf(const std::string& address) {
  const size_t prefix = sizeof(kHostPrefix) - 1;
  const size_t colon = address.find(':');
  int host = -1;
  if (address.compare(0, prefix, kHostPrefix) != 0 || colon == std::string::npos) return -1;
  return absl::SimpleAtoi(address.substr(prefix, colon - prefix), &host) ? host : -1;
}

// What is on its way may outlive the link that sent it.
ClusterQuorumLink* ClusterQuorumLink::Find(const ClusterPeers& all, int host) {
  ClusterPeer* const peer = all.find(host);
  return peer == nullptr || !all.network->up(host) ? nullptr : peer->quorum.get();
}

void ClusterQuorumLink::Send(std::vector<raft::Message> messages) {
  CHECK(owner_->IsCurrent());
  if (cluster_.is_zero()) return;
  for (raft::Message& message : messages) {
    for (const raft::Peer& peer : peers_) {
      if (peer.node != message.to.node) continue;
      const int host = HostOf(peer.address);
      if (all_.find(host) == nullptr) continue;
      all_.network->Datagram(self_, host, [all = all_, host, cluster = cluster_, message] {
        ClusterQuorumLink* const to = Find(all, host);
        if (to == nullptr) return;
        to->owner_->Post([to, cluster, message] {
          // As PeerGuard: of this cluster, and for this voter (S-17, S-18).
          const bool meant = to->cluster_ == cluster && to->receiver_ != nullptr &&
                             message.to == to->all_.find(to->self_)->server->node().voter_id();
          if (meant) to->receiver_->OnMessage(message);
        });
      });
    }
  }
}

void ClusterQuorumLink::OnPeerDown(int host) {
  owner_->Post([this, host] {
    if (receiver_ == nullptr) return;
    for (const raft::Peer& peer : std::vector<raft::Peer>(peers_)) {
      if (HostOf(peer.address) == host) receiver_->OnUnreachable(peer.node);
    }
  });
}

void ClusterQuorumLink::Exchange(std::string address, raft::FoundingState mine, Callback callback) {
  const int host = HostOf(address);
  if (all_.find(host) == nullptr) return;
  auto shared = std::make_shared<Callback>(std::move(callback));
  const int life = all_.network->life(self_);
  all_.network->Datagram(self_, host, [this, all = all_, host, self = self_, life, mine, shared] {
    ClusterQuorumLink* const to = Find(all, host);
    if (to == nullptr) return;
    to->owner_->Post([this, to, self, life, mine, shared] {
      ClusterNetwork& network = *to->all_.network;
      // Another process may be there by now.
      if (to->answer_ == nullptr || network.life(self) != life) return;
      network.Datagram(to->self_, self, [this, theirs = to->answer_(mine), shared] {
        owner_->Post([shared, theirs] { std::move (*shared)(theirs); });
      });
    });
  });
}

}  // namespace millrace::sim
