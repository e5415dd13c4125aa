#!/usr/bin/env bash
# Uses a running server with grpcurl, which knows nothing of our API but what reflection tells it: list, describe,
# create a topic, produce and fetch plain records.
# Usage: test/cluster/grpcurl_check.sh GRPCURL HOST:PORT
#   GRPCURL: GOBIN=/tmp/gobin go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.1, then /tmp/gobin/grpcurl
set -euo pipefail

if (($# != 2)); then
  printf 'usage: %s GRPCURL HOST:PORT\n' "$0" >&2
  exit 2
fi
readonly grpcurl="$1" address="$2"
topic="grpcurl-$(date +%s)"
readonly topic

# Shows a call and its answer, and fails if the answer lacks one of the texts.
call() {
  local expected="$1" answer
  shift
  printf '$ grpcurl -plaintext %s\n' "$*"
  answer="$("$grpcurl" -plaintext "$@")"
  printf '%s\n\n' "$answer"
  local text
  while read -r text; do
    if [[ "$answer" != *"$text"* ]]; then
      printf 'grpcurl_check: %s is not in the answer\n' "$text" >&2
      exit 1
    fi
  done <<<"$expected"
}

call $'millrace.v1.LogService\nmillrace.v1.AdminService\ngrpc.health.v1.Health' "$address" list
call $'rpc Produce\nrpc Fetch' "$address" describe millrace.v1.LogService
call 'SERVING' "$address" grpc.health.v1.Health/Check
call "\"partitions\": 1" -d "{\"topics\": [{\"name\": \"$topic\"}]}" "$address" \
  millrace.v1.AdminService/CreateTopics
# grpcurl writes bytes in base64: "a2V5" is "key", "dmFsdWU=" is "value".
call 'DURABILITY_LEVEL_DURABLE' \
  -d "{\"partitions\": [{\"topic\": \"$topic\", \"records\": [{\"key\": \"a2V5\", \"value\": \"dmFsdWU=\"}]}]}" \
  "$address" millrace.v1.LogService/Produce
call $'"key": "a2V5"\n"value": "dmFsdWU="' \
  -d "{\"partitions\": [{\"topic\": \"$topic\"}]}" "$address" millrace.v1.LogService/Fetch
printf 'grpcurl_check: all answers are as they should be\n'
