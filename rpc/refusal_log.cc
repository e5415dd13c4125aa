#include "rpc/refusal_log.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace millrace::rpc {
namespace {

// Without the port, another one with each try: "ipv4:127.0.0.1:40112".
std::string AddressOf(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

}  // namespace

void RefusalLog::Refused(const CallContext& context, const absl::Status& why) {
  const std::string address = AddressOf(context.peer);
  const std::string reason(why.message());
  const std::optional<int64_t> left_out =
      limit_.Pass(absl::StrCat(address, " ", reason), clock_->Now());
  if (!left_out.has_value()) return;
  LOG_WARN(component_, message_,
           {{"address", address}, {"reason", reason}, {"left_out_before", *left_out}});
}

}  // namespace millrace::rpc
