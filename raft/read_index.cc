#include "raft/read_index.h"

#include <algorithm>

#include "base/mutant.h"

namespace millrace::raft {

void ReadIndex::Add(ReadId id, LogIndex commit, Round round) {
  reads_.push_back(Waiting{id, commit, round});
}

void ReadIndex::Confirm(Round confirmed, LogIndex own_term_begin, LogIndex commit,
                        std::vector<ReadResult>* results) {
  if (commit < own_term_begin && !MUTANT("raft.read-before-no-op")) return;
  if (MUTANT("raft.read-before-no-op")) own_term_begin = LogIndex();
  while (!reads_.empty()) {
    const Waiting& read = reads_.front();
    if (read.round > confirmed && !MUTANT("raft.read-without-round")) return;
    results->push_back(ReadResult{read.id, true, std::max(read.commit, own_term_begin)});
    reads_.pop_front();
  }
}

void ReadIndex::FailAll(std::vector<ReadResult>* results) {
  for (const Waiting& read : reads_) results->push_back(ReadResult{read.id, false, LogIndex()});
  reads_.clear();
}

}  // namespace millrace::raft
