// LogConfig: what one partition's log needs to know of its topic's configuration.
//
// A plain struct of values already checked against their ranges; the keys, their documentation and
// their defaults in text form are declared in metadata/topic_config, which fills it. Not here: what
// a whole log directory needs (log_dir.h, LogDirOptions).
//
// Thread: any (a value).
#ifndef STORAGE_LOG_CONFIG_H_
#define STORAGE_LOG_CONFIG_H_

#include <cstdint>
#include <limits>

namespace millrace::storage {

// What an acknowledgement of this topic means on one replica.
enum class Durability : int8_t {
  // On the disk: the position that counts is the durable offset.
  kDurable = 0,
  // In the page cache: the position that counts is the written offset, as in Kafka.
  kReplicated = 1,
};

struct LogConfig {
  // segment.bytes. At most 2^31 - 1: index positions are int32.
  int64_t segment_bytes = int64_t{1} << 30;
  // segment.ms: a segment takes no batch later than this after its first one.
  int64_t segment_ms = int64_t{7} * 24 * 3600 * 1000;
  // segment.jitter.ms: up to this much less, for each segment its own part.
  int64_t segment_jitter_ms = 0;
  // segment.index.bytes: of each of the two index files.
  int64_t segment_index_bytes = 10 << 20;
  // index.interval.bytes: how much log lies between two index entries, at least.
  int64_t index_interval_bytes = 4096;
  // retention.ms and retention.bytes; -1: no limit.
  int64_t retention_ms = int64_t{7} * 24 * 3600 * 1000;
  int64_t retention_bytes = -1;
  // file.delete.delay.ms: how long a removed segment's files stay as *.deleted.
  int64_t file_delete_delay_ms = 60000;
  Durability durability = Durability::kDurable;
  // flush.messages: of a `replicated` topic, sync after this many records; the maximum: never.
  int64_t flush_messages = std::numeric_limits<int64_t>::max();
  // flush.ms: of a `replicated` topic, sync at the latest so long after an append; the maximum: as
  // the operating system likes.
  int64_t flush_ms = std::numeric_limits<int64_t>::max();
  // The active segment is zero-filled ahead of synced appends in steps that double from the first
  // to the last of these; an append that is as large as the first makes its own room; 0 turns it
  // off.
  int64_t preallocate_bytes_min = 64 << 10;
  int64_t preallocate_bytes_max = 256 << 10;
  // producer.id.expiration.ms: how long an idle producer's sequences are remembered.
  int64_t producer_id_expiration_ms = int64_t{24} * 3600 * 1000;
  // How many bytes of written batches the log keeps in memory for readers at its end.
  int64_t tail_cache_bytes_max = 1 << 20;

  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

}  // namespace millrace::storage

#endif  // STORAGE_LOG_CONFIG_H_
