// Prints docs/configuration.md from the declarations of all config keys. The test beside it holds
// the file in the tree to what this prints.
//
//   bazel run --config=release //tools/docs:configuration > docs/configuration.md
#include <cstdio>
#include <string>
#include <vector>

#include "base/config_doc.h"
#include "client/consumer.h"
#include "client/producer.h"
#include "metadata/broker_config.h"
#include "metadata/topic_config.h"
#include "node/config.h"

int main() {
  const std::string page = millrace::ConfigDocPage({
      {.title = "Server",
       .introduction = "Of one process: from the file given with --config, from --set, or from the "
                       "environment (MILLRACE_LOG_DIRS for log.dirs). A variable MILLRACE_... that "
                       "stands for no key stops the start, except those that Kubernetes sets for a "
                       "Service whose name begins with millrace (MILLRACE_SERVICE_HOST and its "
                       "kin): they are ignored with a warning.",
       .keys = millrace::node::NodeSettingsSchema().keys()},
      {.title = "Server, part of the metadata",
       .introduction =
           "Also given to a process; those marked dynamic can be set for one broker or all of "
           "them while they run.",
       .keys = millrace::metadata::BrokerMetadataKeys()},
      {.title = "Topics",
       .introduction = "Set when a topic is created, or later with `millrace topic alter`.",
       .keys = millrace::metadata::TopicConfigSchema().keys()},
      {.title = "Producer",
       .introduction = "Of client::Producer.",
       .keys = millrace::client::ProducerSchema().keys()},
      {.title = "Consumer",
       .introduction = "Of client::Consumer.",
       .keys = millrace::client::ConsumerSchema().keys()},
  });
  std::fputs(page.c_str(), stdout);
}
