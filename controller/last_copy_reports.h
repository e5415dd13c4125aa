// LastCopyReports: what brokers have said of the copies of lost partitions, until all of them have.
//
// Not replicated, as nothing depends on it but how soon a partition has a leader again: brokers
// repeat themselves until it has one, so that another controller soon knows as much.
//
// Thread: one owner.
// Source: KIP-966 (unclean recovery), S-32.
#ifndef CONTROLLER_LAST_COPY_REPORTS_H_
#define CONTROLLER_LAST_COPY_REPORTS_H_

#include <cstddef>
#include <map>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/ids.h"
#include "metadata/image.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::controller {

class LastCopyReports {
 public:
  // `wait`: how long all copies of a partition are waited for, from the first that is heard of.
  explicit LastCopyReports(absl::Duration wait) : wait_(wait) {}

  // Remembers what `request` says, as far as `image` has such partitions in those leader epochs,
  // and completes it with what others have said of the same ones.
  void Complete(const metadata::Image& image, MonotonicTime now,
                internal::v1::ReportLastCopiesRequest* request);

  // Partitions that are remembered.
  size_t size() const { return partitions_.size(); }

 private:
  struct Report {
    BrokerEpoch broker_epoch;
    internal::v1::LastCopy copy;
  };
  // Of one loss: an election ends it, and so raises the leader epoch. The loss of the last seats
  // does not, and is another one: from then on others are waited for.
  struct Partition {
    LeaderEpoch leader_epoch;
    bool lost;
    MonotonicTime since;
    std::map<NodeId, Report> reports;
  };

  const absl::Duration wait_;
  std::map<TopicPartition, Partition> partitions_;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_LAST_COPY_REPORTS_H_
