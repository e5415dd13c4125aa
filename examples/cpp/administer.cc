// Makes a topic, changes its retention after a dry run, and says what it is like then.
//
//   administer HOST:PORT TOPIC RETENTION_MS
#include <iostream>
#include <string>

#include "base/status.h"
#include "client/admin.h"

namespace millrace {
namespace {

// A call that went well may still have refused a single resource.
template <class Result>
absl::Status OutcomeOf(const Result& result) {
  if (result.code() == v1::ERROR_CODE_UNSPECIFIED) return absl::OkStatus();
  return MakeError(static_cast<ErrorCode>(result.code()), result.message());
}

absl::Status MakeTopic(client::Admin* admin, const std::string& topic) {
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* wanted = request.add_topics();
  wanted->set_name(topic);
  wanted->set_partitions(3);
  ASSIGN_OR_RETURN(const auto response, admin->CreateTopics(request));
  return OutcomeOf(response.topics(0));
}

absl::Status SetRetention(client::Admin* admin, const std::string& topic, const std::string& ms) {
  v1::IncrementalAlterConfigsRequest request;
  v1::AlterConfigsResource* resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(topic);
  v1::ConfigAlteration* alteration = resource->add_alterations();
  alteration->set_name("retention.ms");
  alteration->set_operation(v1::CONFIG_OPERATION_SET);
  alteration->set_value(ms);
  // First a dry run: everything is checked, nothing changes.
  for (const bool validate_only : {true, false}) {
    request.set_validate_only(validate_only);
    ASSIGN_OR_RETURN(const auto response, admin->IncrementalAlterConfigs(request));
    RETURN_IF_ERROR(OutcomeOf(response.resources(0)));
  }
  return absl::OkStatus();
}

absl::Status Administer(const std::string& server, const std::string& topic,
                        const std::string& retention_ms) {
  ASSIGN_OR_RETURN(const auto admin, client::Admin::Create({server}, absl::Seconds(30)));
  RETURN_IF_ERROR(MakeTopic(admin.get(), topic));
  RETURN_IF_ERROR(SetRetention(admin.get(), topic, retention_ms));
  v1::DescribeTopicsRequest request;
  request.add_names(topic);
  ASSIGN_OR_RETURN(const auto response, admin->DescribeTopics(request));
  const v1::TopicDescription& description = response.topics(0);
  RETURN_IF_ERROR(OutcomeOf(description));
  std::cout << description.name() << ": " << description.partitions_size() << " partitions";
  for (const v1::ConfigEntry& config : description.configs()) {
    std::cout << ", " << config.name() << "=" << config.value();
  }
  std::cout << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: administer HOST:PORT TOPIC RETENTION_MS\n";
    return 2;
  }
  const absl::Status status = millrace::Administer(argv[1], argv[2], argv[3]);
  if (status.ok()) return 0;
  std::cerr << status.message() << "\n";
  return 1;
}
