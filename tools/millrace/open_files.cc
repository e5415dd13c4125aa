#include "tools/millrace/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace millrace::tools {
namespace {

// A connection's socket, and the duplicate by which its end is seen (rpc/acceptor.h).
constexpr int64_t kDescriptorsPerConnection = 2;
// Below this a server with some hundred partitions runs short.
constexpr int64_t kFew = 4096;

}  // namespace

int64_t RaiseOpenFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LOG_WARN("server", "the limit of open files is not known", {{"error", strerror(errno)}});
    return kFew;
  }
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    LOG_WARN("server", "the limit of open files could not be raised",
             {{"limit", before}, {"to", limit.rlim_max}, {"error", strerror(errno)}});
    limit.rlim_cur = before;
  }
  const auto now = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT32_MAX));
  if (now < kFew) {
    LOG_WARN("server",
             "few files may be open at once: raise the hard limit (ulimit -Hn, LimitNOFILE)",
             {{"limit", now}, {"connections_max", ConnectionsThatFit(now)}});
  }
  return now;
}

int64_t ConnectionsThatFit(int64_t open_files) {
  return std::max<int64_t>(1, open_files / 2 / kDescriptorsPerConnection);
}

}  // namespace millrace::tools
