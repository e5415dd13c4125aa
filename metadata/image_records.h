// The way between the parts of an image and the messages that stand for them in the log and in the
// image store.
//
// Thread: any (pure functions). Messages REQUIRE ids of 16 bytes, as Decode guarantees.
#ifndef METADATA_IMAGE_RECORDS_H_
#define METADATA_IMAGE_RECORDS_H_

#include <string>

#include "base/ids.h"
#include "metadata/image.h"
#include "metadata/record_types.h"

namespace millrace::metadata {

// An id from its 16 bytes.
template <class Id>
Id IdFrom(const std::string& bytes) {
  return *Id::FromBytes(bytes);
}

PartitionImage PartitionFrom(const records::PartitionRecord& record);
records::PartitionRecord PartitionRecordOf(const TopicPartition& id,
                                           const PartitionImage& partition);

// What turns `before` into `after`, which differ in more than the epoch. REQUIRES: the partition
// epoch of `after` is one higher.
records::PartitionChangeRecord PartitionChangeOf(const TopicPartition& id,
                                                 const PartitionImage& before,
                                                 const PartitionImage& after);
// `before` with the change in it; the partition epoch rises by one.
PartitionImage ChangedPartition(const PartitionImage& before,
                                const records::PartitionChangeRecord& change);

// The broker as just registered at log index `epoch`: fenced.
BrokerImage BrokerFrom(const records::BrokerRegistrationRecord& record, BrokerEpoch epoch);
records::BrokerLogDir LogDirRecordOf(const LogDirImage& dir);
records::BrokerRegistrationRecord RegistrationRecordOf(const BrokerImage& broker);
records::BrokerState StateToRecord(BrokerState state);
// An unknown number is fenced, which is always safe.
BrokerState StateFromRecord(records::BrokerState state);

ConfigOwner OwnerFrom(const records::ConfigRecord& record);
// `value` null: unset.
records::ConfigRecord ConfigRecordOf(const ConfigOwner& owner, const std::string& key,
                                     const std::string* value);

RequestKey RequestKeyFrom(const records::CompletedRequestRecord& record);
// As the entry at `index` has it.
CompletedRequest CompletedRequestFrom(const records::CompletedRequestRecord& record,
                                      LogIndex index);
records::CompletedRequestRecord CompletedRequestRecordOf(const RequestKey& key,
                                                         const CompletedRequest& request);

}  // namespace millrace::metadata

#endif  // METADATA_IMAGE_RECORDS_H_
