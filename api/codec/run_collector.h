// RunCollector: gathers the occurrences of one repeated message field into a run, without a copy
// where they follow each other in the message, as every common encoder writes them.
//
// Thread: one at a time.
#ifndef API_CODEC_RUN_COLLECTOR_H_
#define API_CODEC_RUN_COLLECTOR_H_

#include <string>

#include "base/bytes.h"

namespace millrace::api {

class RunCollector {
 public:
  // The field at [begin, end) of the message, tag included.
  void Add(Slice message, size_t begin, size_t end) {
    if (scattered_.empty() && (end_ == 0 || end_ == begin)) {
      if (end_ == 0) begin_ = begin;
      end_ = end;
      return;
    }
    if (scattered_.empty()) scattered_ = std::string(message.substr(begin_, end_ - begin_));
    scattered_.append(message.data() + begin, end - begin);
  }

  // The run; `message` is the same as in Add, with ownership.
  Bytes Take(const Bytes& message) && {
    if (!scattered_.empty()) return Bytes::FromString(std::move(scattered_));
    return end_ == 0 ? Bytes() : message.Sub(begin_, end_ - begin_);
  }

 private:
  size_t begin_ = 0;
  size_t end_ = 0;  // 0: nothing yet; a field never ends there.
  std::string scattered_;
};

}  // namespace millrace::api

#endif  // API_CODEC_RUN_COLLECTOR_H_
