// Hello: what a process says of itself when it opens a stream of Raft messages to a peer, and when
// it takes one.
//
// It stands for all messages of its stream: they carry the cluster and the process by it (S-18,
// S-19). Whether to believe it is decided in peer_guard.h.
//
// Thread: any (a value).
// Source: S-17, S-18, S-19.
#ifndef RAFT_HOST_HELLO_H_
#define RAFT_HOST_HELLO_H_

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/uuid.h"
#include "raft/types.h"

namespace millrace::raft {

// One run of a voter's process.
struct ProcessId {
  // Fsynced into the directory at each start, one higher each time.
  int64_t start_counter = 0;
  // Drawn at each start; tells apart two processes on copies of one directory.
  Uuid nonce;

  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// What a process's program can do, as it says itself. Raft makes nothing of it.
struct ProgramFeatures {
  // Feature levels of the cluster that it knows, both ends included; 0: it does not say.
  int32_t level_min = 0;
  int32_t level_max = 0;
  std::string version;

  friend bool operator==(const ProgramFeatures&, const ProgramFeatures&) = default;
};

struct Hello {
  // Of the messages' layout (raft/codec).
  int32_t version = 1;
  ClusterId cluster_id;
  VoterId from;
  // Where `from` listens for the quorum.
  std::string address;
  ProcessId process;
  // Whom it means to talk to: an address may have gone to another node.
  NodeId to = kNoNode;
  ProgramFeatures features;
  // How often the quorum was recovered after it had lost its majority: voters of an earlier
  // generation were given up (S-20).
  int64_t generation = 0;
  // If its node is a voter on another directory, which is lost, it wants to take the place of that
  // (voter_replacement.h).
  bool asks_to_join = false;

  friend bool operator==(const Hello&, const Hello&) = default;
};

// The newest process that was accepted on a directory.
struct HeardPeer {
  VoterId id;
  std::string address;
  bool asks_to_join = false;
  // It has a stream to here.
  bool connected = false;
  // Higher with each hello of it that was accepted.
  uint64_t hellos = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_HELLO_H_
