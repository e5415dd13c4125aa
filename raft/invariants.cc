#include "raft/invariants.h"

#include "absl/strings/str_cat.h"

namespace millrace::raft {
namespace {

uint64_t HashBytes(Slice bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

std::string Name(const VoterId& id) { return absl::StrCat("node ", id.node.value()); }
std::string Name(const EntryId& id) { return absl::StrCat(id.term.value(), ":", id.index.value()); }

}  // namespace

void Invariants::OnStart(const Node& node) {
  Watched& watched = watched_[node.self()];
  if (node.term() < watched.term) {
    // The term is promised before it is durable; it may fall, but nothing was said in it then.
    watched.term = node.term();
  }
  watched = Watched{node.term(), node.commit(), node.applied(), Term(), node.log().last()};
}

void Invariants::OnReady(const Node& node, const Ready& ready) {
  Watched& watched = watched_[node.self()];
  if (ready.install.has_value()) {
    const EntryId last = ready.install->id.last;
    auto known = committed_.find(last.index);
    if (known != committed_.end() && known->second.id != last) {
      Report(absl::StrCat("state machine safety: ", Name(node.self()), " installs a snapshot of ",
                          Name(last), "; committed is ", Name(known->second.id)));
    }
    if (last.index <= watched.applied) {
      Report(absl::StrCat("state machine safety: ", Name(node.self()),
                          " goes back to a snapshot of ", last.index.value(), " after ",
                          watched.applied.value()));
    }
    watched.applied = last.index;
  }
  CheckEntries(node, ready);
  for (const Entry& entry : ready.committed) {
    if (entry.index != watched.applied + 1) {
      Report(absl::StrCat("state machine safety: ", Name(node.self()), " applies ",
                          entry.index.value(), " after ", watched.applied.value()));
    }
    watched.applied = entry.index;
    auto known = committed_.find(entry.index);
    if (known == committed_.end() || known->second.id != entry.id()) {
      Report(absl::StrCat("state machine safety: ", Name(node.self()), " applies ",
                          Name(entry.id()), " where another entry was committed"));
    }
  }
}

// Log matching: an entry is the same wherever it is, and so is the one before it; by induction so
// are all before.
void Invariants::CheckEntries(const Node& node, const Ready& ready) {
  for (const Entry& entry : ready.entries) {
    const auto previous_term = node.log().TermAt(entry.index - 1);
    if (!previous_term.has_value()) continue;
    const Content content{EntryId{*previous_term, entry.index - 1}, entry.type,
                          HashBytes(entry.payload)};
    auto [known, added] = entries_.emplace(entry.id(), content);
    if (!added && known->second != content) {
      Report(absl::StrCat("log matching: entry ", Name(entry.id()), " of ", Name(node.self()),
                          " has another content or another predecessor elsewhere"));
    }
  }
}

void Invariants::OnEvent(const Node& node) {
  Watched& watched = watched_[node.self()];
  if (node.term() < watched.term) {
    Report(absl::StrCat("the term of ", Name(node.self()), " falls"));
  }
  watched.term = node.term();
  CheckCommitted(node, &watched);
  if (node.role() == Role::kLeader) {
    if (watched.leads_in != node.term()) {
      CheckLeader(node);
    } else if (!node.log().Has(watched.last)) {
      Report(absl::StrCat("leader append-only: ", Name(node.self()), " lost its entry ",
                          Name(watched.last)));
    }
    watched.leads_in = node.term();
  } else {
    watched.leads_in = Term();
  }
  watched.last = node.log().last();
}

// Called once per leadership: election safety and leader completeness.
void Invariants::CheckLeader(const Node& node) {
  auto [known, added] = leaders_.emplace(node.term(), node.self());
  if (!added && known->second != node.self()) {
    Report(absl::StrCat("election safety: ", Name(node.self()), " and ", Name(known->second),
                        " both lead in term ", node.term().value()));
  }
  // Newest first; below the start of its log the leader has a snapshot of committed entries.
  for (auto it = committed_.rbegin(); it != committed_.rend(); ++it) {
    if (it->first <= node.log().start().index) break;
    const auto& [id, in_term] = it->second;
    // An election may be won late, by votes of a term that others have left behind.
    if (in_term >= node.term() || node.log().Has(id)) continue;
    Report(absl::StrCat("leader completeness: ", Name(node.self()), " leads in term ",
                        node.term().value(), " without the committed entry ", Name(id)));
  }
}

void Invariants::CheckCommitted(const Node& node, Watched* watched) {
  if (node.commit() < watched->commit) {
    Report(absl::StrCat("the commit index of ", Name(node.self()), " falls"));
  }
  for (LogIndex i = watched->commit + 1; i <= node.commit(); ++i) {
    const auto term = node.log().TermAt(i);
    if (!term.has_value()) continue;  // Came with a snapshot.
    auto [known, added] = committed_.emplace(i, Committed{EntryId{*term, i}, node.term()});
    if (!added && known->second.id.term != *term) {
      Report(absl::StrCat("state machine safety: ", Name(node.self()), " commits ",
                          Name(EntryId{*term, i}), "; committed is ", Name(known->second.id)));
    }
  }
  watched->commit = node.commit();
}

void Invariants::OnSend(const Message& message) {
  if (const auto* response = std::get_if<VoteResponse>(&message.body)) {
    if (response->granted && !response->pre_vote) {
      CheckVote(message.from, response->campaign_term, message.to);
    }
  } else if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    if (!request->pre_vote) CheckVote(message.from, request->campaign_term, message.from);
  }
}

void Invariants::CheckVote(const VoterId& voter, Term term, const VoterId& candidate) {
  auto [known, added] = votes_.emplace(std::pair(voter, term), candidate);
  if (!added && known->second != candidate) {
    Report(absl::StrCat("one vote per term: ", Name(voter), " voted for ", Name(known->second),
                        " and for ", Name(candidate), " in term ", term.value()));
  }
}

void Invariants::OnApplied(LogIndex index, uint64_t state_hash) {
  auto [known, added] = states_.emplace(index, state_hash);
  if (!added && known->second != state_hash) {
    Report(absl::StrCat("state machine safety: states differ at index ", index.value()));
  }
}

}  // namespace millrace::raft
