#!/usr/bin/env bash
# Measures Millrace beside the machine's limits, Kafka and NATS, and writes docs/benchmarks.md: about 15 minutes.
# Usage: tools/bench/run.sh [--quick] [--no-peers] [--rounds N] [--scale X] [--scratch DIR] [--out FILE]
#   --quick      one round of few records without peers, in a minute or two: for trying it out; say --out too
#   --no-peers   leave out Kafka and NATS (they need a JDK, Maven and Go, and access to their registries)
#   --scratch    where the data goes (default: the temporary directory); it must be the disk to be measured
set -euo pipefail

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tools/build_environment.sh

tools/install.sh

bazel build --config=release "${build_flags[@]}" //tools/millrace //tools/bench/probe:all //tools/bench/micro >&2 </dev/null
programs="$(bazel info --config=release bazel-bin 2>/dev/null </dev/null)"

exec /usr/bin/python3 -B tools/bench/report_main.py --programs "$programs" "$@"
