// MetricsText: the registry's samples in Prometheus's text format, as /metrics serves them.
//
// Thread: any (a pure function).
#ifndef HTTP_METRICS_TEXT_H_
#define HTTP_METRICS_TEXT_H_

#include <string>
#include <vector>

#include "base/counters.h"

namespace millrace::http {

// `samples` as MetricRegistry::Collect returns them: samples of one name stand together. Histograms
// become cumulative buckets, as the format wants them.
std::string MetricsText(const std::vector<MetricSample>& samples);

}  // namespace millrace::http

#endif  // HTTP_METRICS_TEXT_H_
