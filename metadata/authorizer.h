// Authorizer: the one place that says whether a principal may do something to a resource.
//
// Every inbound call asks it before anything else; the answer for now is always yes. Who the
// principal is, the listener's authentication says.
//
// Thread: any (implementations are immutable values behind a shared_ptr<const>).
#ifndef METADATA_AUTHORIZER_H_
#define METADATA_AUTHORIZER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace millrace::metadata {

// "User:alice"; "User:ANONYMOUS" on a listener without authentication.
struct Principal {
  std::string name = "User:ANONYMOUS";

  friend bool operator==(const Principal&, const Principal&) = default;
};

// Kafka's operations, as far as there is a call for each.
enum class Operation : uint8_t {
  kRead,
  kWrite,
  kCreate,
  kDelete,
  kAlter,
  kDescribe,
  kClusterAction,
  kDescribeConfigs,
  kAlterConfigs,
  kIdempotentWrite,
};

enum class ResourceType : uint8_t { kTopic, kGroup, kCluster, kTransactionalId };

struct Resource {
  ResourceType type = ResourceType::kCluster;
  // "kafka-cluster" plays no role here: the cluster's name is empty.
  absl::string_view name;
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;

  virtual bool Allows(const Principal& principal, Operation operation,
                      const Resource& resource) const = 0;
};

class AllowAllAuthorizer final : public Authorizer {
 public:
  bool Allows(const Principal&, Operation, const Resource&) const override { return true; }
};

}  // namespace millrace::metadata

#endif  // METADATA_AUTHORIZER_H_
