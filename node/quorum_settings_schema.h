// The quorum's part of the table of process-level keys.
//
// Thread: any (called once, while the table is built).
#ifndef NODE_QUORUM_SETTINGS_SCHEMA_H_
#define NODE_QUORUM_SETTINGS_SCHEMA_H_

#include "base/config.h"
#include "node/config.h"

namespace millrace::node {

// Adds the keys of controller.quorum and of the metadata log.
void DeclareQuorum(ConfigSchema<NodeSettings>* schema);

}  // namespace millrace::node

#endif  // NODE_QUORUM_SETTINGS_SCHEMA_H_
