#!/bin/bash
# Makes the Python modules of the API's messages and stubs from proto/.
# Usage: generate_stubs.sh OUTPUT_DIR [PROTO_ROOT]     (Debian: protobuf-compiler protobuf-compiler-grpc)
set -euo pipefail
output=${1:?usage: generate_stubs.sh OUTPUT_DIR [PROTO_ROOT]}
root=${2:-$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../proto}
plugin=$(command -v grpc_python_plugin) || {
  echo "generate_stubs.sh: there is no grpc_python_plugin: install protobuf-compiler-grpc" >&2
  exit 1
}
mkdir -p "$output"
cd "$root"
protoc -I. --python_out="$output" --grpc_out="$output" --plugin=protoc-gen-grpc="$plugin" \
  millrace/v1/errors.proto millrace/v1/log_service.proto millrace/v1/admin_service.proto
