#!/bin/bash
# Makes the Go package millracev1 (messages and stubs) beside the programs, from proto/. The
# generators are those that go.mod pins.
# Usage: generate.sh [PROTO_ROOT]     needs go, the modules of go.mod, and protoc
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
root=$(readlink -f "${1:-../../proto}")
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
go build -o "$tools/" google.golang.org/protobuf/cmd/protoc-gen-go \
  google.golang.org/grpc/cmd/protoc-gen-go-grpc
files=(millrace/v1/errors.proto millrace/v1/log_service.proto millrace/v1/admin_service.proto)
package=millrace/examples/go/millracev1
options=(--go_opt=module=millrace/examples/go --go-grpc_opt=module=millrace/examples/go)
# The proto files name no Go package: that is each user's choice.
for file in "${files[@]}"; do
  options+=("--go_opt=M$file=$package" "--go-grpc_opt=M$file=$package")
done
PATH=$tools:$PATH protoc -I "$root" --go_out=. --go-grpc_out=. "${options[@]}" "${files[@]}"
