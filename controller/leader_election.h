// Who leads a partition, and who is in its in-sync set after a member left.
//
// Of those that may lead, one whose disk is well is taken before one whose disk is slow.
//
// Leaders come from the ISR, then from the eligible leader replicas, of both from those whose log
// was not cut or found damaged at a start (S-08, S-35) if they can, and only where it is allowed
// from those that may lack acknowledged records. A leader epoch is raised by every election and
// every loss of a leader, also if the same broker leads again (S-01), by the removal of a replica
// (reassignment.h), and by nothing else.
//
// Thread: any (pure functions).
// Source: KIP-966 (ELR), KIP-841 (fenced replicas leave the ISR), KIP-704 (recovery state).
#ifndef CONTROLLER_LEADER_ELECTION_H_
#define CONTROLLER_LEADER_ELECTION_H_

#include <map>

#include "base/ids.h"
#include "metadata/image.h"

namespace millrace::controller {

// Which brokers may lead: those of an image, with one of them as it is about to be.
class Electorate {
 public:
  // `image` is borrowed.
  explicit Electorate(const metadata::Image& image) : image_(image) {}
  Electorate(const metadata::Image& image, metadata::BrokerImage about_to_be)
      : image_(image), override_(std::move(about_to_be)) {}

  // Active, and with that directory among its registered ones (S-05), which has not failed.
  bool MayLead(const metadata::ReplicaImage& replica) const;
  // Its directory's disk is not known to be much slower than others.
  bool IsWell(const metadata::ReplicaImage& replica) const;

 private:
  const metadata::BrokerImage* Find(NodeId broker) const;

  const metadata::Image& image_;
  metadata::BrokerImage override_;
};

// Takes `broker` out of the ISR. Where fewer than `min_isr` stay, what it has cannot fall behind
// the acknowledged end, so it becomes an eligible leader replica (KIP-966). One that is in neither
// set, or is an eligible leader replica already, stays what it is.
void LeaveIsr(NodeId broker, int min_isr, metadata::PartitionImage* partition);

// Makes `isr` the ISR, at the word of the leader. Whoever leaves where fewer than `min_isr` stay is
// an eligible leader replica from then on, as with LeaveIsr, unless it is impaired; where enough
// stay there are none: the acknowledged end may pass them. Brokers without a replica are not taken.
void ReplaceIsr(const metadata::BrokerList& isr, int min_isr, metadata::PartitionImage* partition);

// Takes `broker` out of ISR and ELR: what it has is not known (S-03, S-05).
void LoseTrust(NodeId broker, metadata::PartitionImage* partition);

// Takes `broker` out of the ELR, if it is there.
void LoseEligibility(NodeId broker, metadata::PartitionImage* partition);

// The log of `broker` was cut when it was opened, so that it may lack the end of what it
// acknowledged (S-08), or is damaged (S-35). It keeps its seat, since a leader that is known may be
// dead, until another one is elected, or the leader next says who is in sync: one that is not
// impaired is elected if any can be, or else the one with the most (last_copies.h).
void Impair(NodeId broker, metadata::PartitionImage* partition);

enum class ElectionResult {
  // The leader stays, in its epoch.
  kKept,
  // Another leader, or the same one anew; it has all that was acknowledged.
  kElected,
  // A leader that may lack acknowledged records (S-32); to be counted and logged.
  kElectedWithoutProof,
  // There is none now.
  kNone,
};

// How a partition may be led.
struct ElectionRules {
  int min_isr = 1;
  // unclean.leader.election.enable of the topic. Not while some are impaired: then the ends of the
  // logs say who leads (last_copies.h).
  bool unclean = false;
  // A person waits no longer: one that is impaired may lead if no other can.
  bool impaired = false;
};

// Gives the partition a leader that `electorate` allows, if its present one is not allowed any more
// or there is none. The only replica of a partition is elected again whatever is known of it: there
// is no other copy that it could contradict (S-32). One that comes with a reassignment is another
// copy.
ElectionResult Elect(const Electorate& electorate, const ElectionRules& rules,
                     metadata::PartitionImage* partition);

// Whether `after`, which one entry made of `before`, has a leader that may lack acknowledged
// records: whether Elect, somewhere in that entry's decision, answered kElectedWithoutProof. It is
// told from the partition alone, so that whoever applies the log knows it too, whichever command it
// was.
bool WasElectedWithoutProof(const metadata::PartitionImage& before,
                            const metadata::PartitionImage& after);

}  // namespace millrace::controller

#endif  // CONTROLLER_LEADER_ELECTION_H_
