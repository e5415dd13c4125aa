// ReadIndex: reads that a leader answers without writing, and never out of date.
//
// A leader may have been replaced without knowing it. A read is therefore confirmed only when a
// majority has answered a round that began after the read arrived: at that moment nobody else led,
// so that the commit index of the read's arrival held all that was ever acknowledged before it. And
// a new leader knows that index only once an entry of its own term is committed (S-12).
//
// Thread: owner's executor.
// Source: Raft thesis 6.4 (steps 1 to 4); paper 8 (read-only operations).
#ifndef RAFT_READ_INDEX_H_
#define RAFT_READ_INDEX_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "base/ids.h"
#include "raft/messages.h"

namespace millrace::raft {

using ReadId = StrongId<struct ReadIdTag, uint64_t>;

struct ReadResult {
  ReadId id;
  // False: leadership was lost first; ask the new leader.
  bool confirmed = false;
  // The read may be answered from a state that holds everything through here.
  LogIndex index;

  friend bool operator==(const ReadResult&, const ReadResult&) = default;
};

class ReadIndex {
 public:
  // `commit` now; `round`: the first that begins after this call.
  void Add(ReadId id, LogIndex commit, Round round);
  // Moves out what a majority has confirmed. `own_term_begin`: the no-op of the leader's term; no
  // read is confirmed before it is committed, nor with a lower index.
  void Confirm(Round confirmed, LogIndex own_term_begin, LogIndex commit,
               std::vector<ReadResult>* results);
  void FailAll(std::vector<ReadResult>* results);

  size_t size() const { return reads_.size(); }
  bool empty() const { return reads_.empty(); }

 private:
  struct Waiting {
    ReadId id;
    LogIndex commit;
    Round round;
  };
  // In order of arrival, and so of their rounds.
  std::deque<Waiting> reads_;
};

}  // namespace millrace::raft

#endif  // RAFT_READ_INDEX_H_
