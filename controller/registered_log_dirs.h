// RegisteredLogDirs: what the cluster knows of a broker's log directories once it is registered:
// which of them hold what the metadata says they do, and which are absent.
//
// A directory is trusted if it was last open under the last committed registration that it was part
// of: then nothing that it acknowledged is missing, as in one that was wiped, or put back as it was
// some time ago.
//
// One that the broker had, and does not name, is lost; unless the broker could not open all that it
// is configured with. Then it may be one of those, and come back as it was: it is absent. It is
// remembered as one that failed, with what it takes to be trusted again, since nobody writes to
// what nobody can open. Whoever takes a directory out of log.dirs, or puts an empty one in its
// place, gives it up, as soon as all that are configured can be opened.
//
// Thread: any (a pure function).
// Source: S-05, KIP-858.
#ifndef CONTROLLER_REGISTERED_LOG_DIRS_H_
#define CONTROLLER_REGISTERED_LOG_DIRS_H_

#include <vector>

#include "metadata/image.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::controller {

// Those that the request names come first. `before`: the broker as `image` has it, null if it has
// not. REQUIRES: the request's directories are checked.
std::vector<metadata::LogDirImage> RegisteredLogDirs(
    const metadata::Image& image, const metadata::BrokerImage* before,
    const internal::v1::RegisterBrokerRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_REGISTERED_LOG_DIRS_H_
