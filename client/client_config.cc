// The declarations of all keys of the clients: the only place where their defaults stand.
#include "base/config.h"
#include "client/consumer.h"
#include "client/producer.h"

namespace millrace::client {
namespace {

constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();

ConfigKey BootstrapServers() {
  return {.name = "bootstrap.servers",
          .default_value = "localhost:9092",
          .doc = "Addresses host:port by which to find the cluster, tried in turn."};
}

ConfigKey ClientId() {
  return {.name = "client.id", .doc = "A name for this client in the brokers' logs and quotas."};
}

ConfigKey SecurityProtocol() {
  return {.name = "security.protocol",
          .default_value = "PLAINTEXT",
          .doc =
              "How to connect; SSL: by TLS, to servers whose certificate has the name or address "
              "that they are found by.",
          .allowed = {"PLAINTEXT", "SSL"}};
}

ConfigKey Truststore() {
  return {.name = "ssl.truststore.location",
          .doc = "PEM file with the authorities that are believed; empty: those of the system."};
}

ConfigKey Keystore() {
  return {.name = "ssl.keystore.location",
          .doc =
              "PEM file with this client's private key, certificate and chain; empty: it shows "
              "none."};
}

ConfigKey RequestTimeout() {
  return {.name = "request.timeout.ms",
          .default_value = "30000",
          .doc = "How long to wait for a broker's answer before trying again.",
          .min = 1,
          .max = kIntMax};
}

ConfigKey RetryBackoff() {
  return {.name = "retry.backoff.ms",
          .default_value = "100",
          .doc = "How long to wait before trying again after a failure.",
          .min = 1,
          .max = kIntMax};
}

ConfigSchema<ProducerConfig> MakeProducerSchema() {
  using T = ProducerConfig;
  ConfigSchema<T> schema;
  schema.List(&T::bootstrap_servers, BootstrapServers())
      .String(&T::client_id, ClientId())
      .String(&T::security_protocol, SecurityProtocol())
      .String(&T::ssl_truststore_location, Truststore())
      .String(&T::ssl_keystore_location, Keystore())
      .String(&T::acks,
              {.name = "acks",
               .default_value = "all",
               .doc = "When a record counts as sent: none (0): at once, it may be lost; leader "
                      "(1): when the leader has it; all (-1): when all in-sync replicas have it.",
               .allowed = {"none", "0", "leader", "1", "all", "-1"}})
      .Bool(
          &T::enable_idempotence,
          {.name = "enable.idempotence",
           .default_value = "true",
           .doc = "Whether a record that is sent again is kept once. Needs acks=all, retries, and "
                  "at most 5 max.in.flight.requests.per.connection: where one of these says "
                  "otherwise it is off, unless it was asked for."})
      .String(&T::compression_type, {.name = "compression.type",
                                     .default_value = "none",
                                     .doc = "Codec of the batches.",
                                     .allowed = {"none", "gzip", "snappy", "lz4", "zstd"}})
      .Int(&T::linger_ms,
           {.name = "linger.ms",
            .default_value = "0",
            .doc = "How long a batch waits for more records although it could leave. At 0 a batch "
                   "leaves at once while nothing is under way, and fills while something is.",
            .min = 0,
            .max = kIntMax})
      .Int(&T::batch_size,
           {.name = "batch.size",
            .default_value = "65536",
            .doc = "Bytes at which a batch is full. The default is larger than Kafka's 16384: a "
                   "batch that is not full leaves all the same, and large ones cost less.",
            .min = 1,
            .max = kIntMax})
      .Int(&T::buffer_memory,
           {.name = "buffer.memory",
            .default_value = "33554432",
            .doc = "Bytes of records that may wait for their acknowledgement; Send waits beyond.",
            .min = 1})
      .Int(&T::max_request_size,
           {.name = "max.request.size",
            .default_value = "1048576",
            .doc = "The largest request, in bytes; also one of a record alone, "
                   "with the header of its batch.",
            .min = 1,
            .max = kIntMax})
      .Int(&T::max_in_flight,
           {.name = "max.in.flight.requests.per.connection",
            .default_value = "5",
            .doc = "Requests that may be unanswered at a broker. Order is kept in any case.",
            .min = 1,
            .max = 1000})
      .Int(&T::max_block_ms,
           {.name = "max.block.ms",
            .default_value = "60000",
            .doc = "How long Send waits for buffer.memory, and for a topic's partitions.",
            .min = 0})
      .Int(&T::delivery_timeout_ms, {.name = "delivery.timeout.ms",
                                     .default_value = "120000",
                                     .doc = "How long after Send a record may still be sent again.",
                                     .min = 1,
                                     .max = kIntMax})
      .Bool(
          &T::send_through_bootstrap,
          {.name = "send.through.bootstrap",
           .default_value = "false",
           .doc = "Whether batches go to a bootstrap server, which passes them on to the leaders, "
                  "instead of to the leaders themselves: for where only that address can be "
                  "reached. It costs a hop."})
      .Int(&T::request_timeout_ms, RequestTimeout())
      .Int(&T::retries,
           {.name = "retries",
            .default_value = "2147483647",
            .doc = "How often a batch is sent again, within delivery.timeout.ms. At 0 a record "
                   "fails rather than being perhaps written twice.",
            .min = 0,
            .max = kIntMax})
      .Int(&T::retry_backoff_ms, RetryBackoff())
      .String(&T::partitioner_class,
              {.name = "partitioner.class",
               .default_value = "default",
               .doc = "default: the key's hash, and without a key the same partition for "
                      "batch.size bytes, then another one; round_robin: each record to the next "
                      "partition, keys or not.",
               .allowed = {"default", "round_robin"}})
      .Bool(&T::partitioner_ignore_keys,
            {.name = "partitioner.ignore.keys",
             .default_value = "false",
             .doc = "Whether records with a key are spread like those without one."})
      .Bool(&T::partitioner_adaptive,
            {.name = "partitioner.adaptive.partitioning.enable",
             .default_value = "true",
             .doc = "Whether partitions with more unacknowledged batches get fewer of the records "
                    "without a key."});
  return schema;
}

ConfigSchema<ConsumerConfig> MakeConsumerSchema() {
  using T = ConsumerConfig;
  ConfigSchema<T> schema;
  schema.List(&T::bootstrap_servers, BootstrapServers())
      .String(&T::client_id, ClientId())
      .String(&T::security_protocol, SecurityProtocol())
      .String(&T::ssl_truststore_location, Truststore())
      .String(&T::ssl_keystore_location, Keystore())
      .String(&T::client_rack, {.name = "client.rack",
                                .doc = "Where this client is, to be served by a near replica."})
      .String(&T::isolation_level,
              {.name = "isolation.level",
               .default_value = "read_committed",
               .doc = "Whether records of transactions that are open or aborted are read. Kafka's "
                      "default is read_uncommitted.",
               .allowed = {"read_committed", "read_uncommitted"}})
      .String(&T::auto_offset_reset,
              {.name = "auto.offset.reset",
               .default_value = "latest",
               .doc = "Where to go on if a position is out of range; none: Poll fails.",
               .allowed = {"earliest", "latest", "none"}})
      .Int(&T::fetch_max_bytes, {.name = "fetch.max.bytes",
                                 .default_value = "52428800",
                                 .doc = "The most bytes that one answer should have.",
                                 .min = 1,
                                 .max = kIntMax})
      .Int(&T::max_partition_fetch_bytes,
           {.name = "max.partition.fetch.bytes",
            .default_value = "1048576",
            .doc = "The most bytes of one partition in an answer, but at least one batch.",
            .min = 1,
            .max = kIntMax})
      .Int(&T::max_poll_records, {.name = "max.poll.records",
                                  .default_value = "500",
                                  .doc = "The most records that one Poll returns.",
                                  .min = 1,
                                  .max = kIntMax})
      .Int(&T::prefetch_bytes,
           {.name = "prefetch.bytes",
            .default_value = "16777216",
            .doc = "Bytes fetched from each broker ahead of Poll, over all partitions.",
            .min = 1,
            .max = kIntMax})
      .Int(&T::request_timeout_ms, RequestTimeout())
      .Int(&T::retry_backoff_ms, RetryBackoff())
      .Bool(&T::check_crcs, {.name = "check.crcs",
                             .default_value = "true",
                             .doc = "Whether the checksum of each batch is verified."});
  return schema;
}

}  // namespace

const ConfigSchema<ProducerConfig>& ProducerSchema() {
  static const ConfigSchema<ProducerConfig> schema = MakeProducerSchema();
  return schema;
}

const ConfigSchema<ConsumerConfig>& ConsumerSchema() {
  static const ConfigSchema<ConsumerConfig> schema = MakeConsumerSchema();
  return schema;
}

}  // namespace millrace::client
