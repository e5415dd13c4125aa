#!/usr/bin/env bash
# Installs what the build and the tests need on Debian 12, without asking anything. Run as root or with sudo rights.
# When all of it is there already, it returns at once and touches nothing.
# Usage: tools/install.sh [--package-index]     --package-index: also make sure that apt has a package index
set -euo pipefail

packages=(
  # Build.
  bazel-bootstrap clang-14 lld-14 libclang-rt-14-dev g++ pkg-config protobuf-compiler protobuf-compiler-grpc
  libabsl-dev libgrpc++-dev libprotobuf-dev librocksdb-dev prometheus-cpp-dev libcivetweb-dev libssl-dev liburing-dev
  liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev libspdlog-dev libfmt-dev libcli11-dev libre2-dev
  libyaml-cpp-dev nlohmann-json3-dev
  # Tests and checks.
  libgtest-dev libgmock-dev libbenchmark-dev clang-format-14
  python3 python3-grpcio python3-kafka python3-lz4 python3-protobuf python3-snappy python3-zstandard
  ca-certificates git iproute2 openssl util-linux
)
readonly packages
readonly update_tries=5
# Waits for another package manager instead of failing: a fresh machine often upgrades itself at first.
readonly apt=(apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)

say() { printf 'install: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

missing_packages() {
  local installed
  installed=" $(dpkg-query -W -f '${db:Status-Abbrev}=${Package} ' "${packages[@]}" 2>/dev/null || true) "
  local package
  for package in "${packages[@]}"; do
    [[ "$installed" == *"ii =$package "* ]] || printf '%s\n' "$package"
  done
}

# Runs a command as root, with no prompts from the package manager.
as_root() {
  if [[ "$(id -u)" -eq 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@" </dev/null
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@" </dev/null
  else
    fail "needs root to run '$*': run as root, or as a user whose sudo asks for no password"
  fi
}

update_index() {
  local try
  for ((try = 1; try <= update_tries; try++)); do
    # By default apt-get update calls a failed download a warning and goes on with an old index.
    if as_root "${apt[@]}" -o APT::Update::Error-Mode=any update >&2; then
      return 0
    fi
    say "apt-get update failed (try $try of $update_tries)"
    ((try == update_tries)) || sleep $((try * 5))
  done
  fail "apt-get update failed $update_tries times: is the network there, and is /etc/apt/sources.list right?"
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  fail "this is no Debian system; install the equivalents of: ${packages[*]}"

mapfile -t missing < <(missing_packages)
if ((${#missing[@]} > 0)); then
  say "installing ${#missing[@]} packages: ${missing[*]}"
  update_index
  as_root "${apt[@]}" --no-install-recommends install "${missing[@]}" >&2 ||
    fail "apt-get install failed; this script is made for Debian 12 (bookworm)"
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || fail "still missing after the installation: ${missing[*]}"
fi

# Without an index, as in a container image, dumpavail knows only what is installed.
if [[ "${1:-}" == --package-index ]] && ! apt-cache policy libgrpc++-dev 2>/dev/null | grep -q '://'; then
  say "reading the package index"
  update_index
fi
