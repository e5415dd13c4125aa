#include "rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/system_clock.h"
#include "rpc/line_limit.h"

namespace millrace::rpc {
namespace {

constexpr char kComponent[] = "grpc";
constexpr char kMessage[] = "gRPC says";

// gRPC calls a function and hands it nothing of ours, from threads that may outlast main: so this
// one object is the process's, and never destroyed.
LineLimit* Limit() {
  static LineLimit* const limit = new LineLimit();
  return limit;
}

// gRPC's errors are mostly others' faults: a handshake that fails.
void Say(gpr_log_func_args* args) {
  const std::string text = args->message;
  const std::optional<int64_t> left_out = Limit()->Pass(text, SystemClock().Now());
  if (!left_out.has_value()) return;
  const std::string file = args->file;
  const std::string source = absl::StrCat(file.substr(file.rfind('/') + 1), ":", args->line);
  switch (args->severity) {
    case GPR_LOG_SEVERITY_ERROR:
      LOG_WARN(kComponent, kMessage,
               {{"text", text}, {"source", source}, {"left_out_before", *left_out}});
      break;
    case GPR_LOG_SEVERITY_INFO:
      LOG_INFO(kComponent, kMessage,
               {{"text", text}, {"source", source}, {"left_out_before", *left_out}});
      break;
    case GPR_LOG_SEVERITY_DEBUG:
      LOG_DEBUG(kComponent, kMessage,
                {{"text", text}, {"source", source}, {"left_out_before", *left_out}});
      break;
  }
}

}  // namespace

void TakeGrpcLog() { gpr_set_log_function(&Say); }

}  // namespace millrace::rpc
