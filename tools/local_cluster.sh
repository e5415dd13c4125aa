#!/usr/bin/env bash
# A cluster on this machine: controllers and brokers, one `millrace server` process each, on loopback, to try out and
# to break.
set -euo pipefail

readonly root="$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")"
readonly host=127.0.0.1
readonly start_seconds_max=30
readonly stop_seconds_max=15

usage() {
  cat <<'HELP'
Usage: tools/local_cluster.sh COMMAND [OPTIONS]

Runs a cluster on this machine, one `millrace server` process per node, on loopback: controllers with the node ids
1, 2, 3... and brokers with the node ids 101, 102, 103...

Commands:
  start       start all nodes that do not run, wait until each answers, print the bootstrap list
  stop [N]    stop node N, or all of them, brokers first, cleanly; their data stays
  status      show each process, and the quorum as it describes itself
  kill N      end node N at once (SIGKILL), as a crash does
  pause N     stop node N from running (SIGSTOP), as an overloaded machine does
  resume N    let it run again (SIGCONT)
  logs N      print the end of node N's log (--follow: and what comes)

Options:
  --data-dir DIR       where configs, logs and data are (default: ./millrace-cluster)
  --controllers N      of start: how many, 1 to 9 (default: 3, or as many as there are in DIR)
  --brokers N          of start: how many, 0 to 20 (default: 3, or as many as there are in DIR)
  --base-port PORT     of start: clients connect to controllers at PORT, PORT+1... and to brokers at PORT+10, PORT+11...;
                       controllers are found by all nodes from PORT+100 on, metrics from PORT+200 on and, of brokers,
                       from PORT+210 on (default: 19092)
  --tls                of start: all connections by TLS, between nodes mutual; certificates are made with openssl, in
                       DIR/tls (only for a new cluster)
  --millrace PROGRAM   of start: the program to run (default: the one given before, else it is built from this tree)
  --phantom-brokers N  of start: registers N brokers from 101 on that have no process, for trying out and measuring
                       the quorum alone; only without --brokers (default: 0)
  --phantoms PROGRAM   of start: what registers those (default: built too)
  --help               this text

Examples:
  tools/local_cluster.sh start --controllers 3 --brokers 3
  export MILLRACE_BOOTSTRAP="$(tools/local_cluster.sh start)"
  tools/local_cluster.sh kill 101 && tools/local_cluster.sh status
  tools/local_cluster.sh start                  (brings broker 101 back)
  tools/local_cluster.sh stop && rm -r millrace-cluster
HELP
}

say() { printf 'local_cluster: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
wrong_usage() {
  say "$*"
  printf 'See: tools/local_cluster.sh --help\n' >&2
  exit 2
}

now_ms() { date +%s%3N; }

# ---- The command line. ----

command=''
node=''
data_dir=millrace-cluster
controllers=''
base_port=''
program=''
phantoms=''
brokers=''
phantom_brokers=''
follow=false
tls=no

whole_number() { # NAME TEXT MIN MAX
  [[ "$2" =~ ^[0-9]{1,5}$ ]] && ((10#$2 >= $3 && 10#$2 <= $4)) ||
    wrong_usage "$1: '$2' is not a whole number from $3 to $4"
}

parse() {
  while (($# > 0)); do
    case "$1" in
      --help | -h)
        usage
        exit 0
        ;;
      --data-dir | --controllers | --base-port | --brokers | --millrace | --phantom-brokers | --phantoms)
        (($# > 1)) && [[ -n "$2" ]] || wrong_usage "$1 needs a value"
        case "$1" in
          --data-dir) data_dir="$2" ;;
          --controllers) controllers="$2" ;;
          --base-port) base_port="$2" ;;
          --brokers) brokers="$2" ;;
          --millrace) program="$2" ;;
          --phantom-brokers) phantom_brokers="$2" ;;
          --phantoms) phantoms="$2" ;;
        esac
        shift
        ;;
      --follow) follow=true ;;
      --tls) tls=yes ;;
      -*) wrong_usage "there is no option '$1'" ;;
      *)
        if [[ -z "$command" ]]; then
          command="$1"
        elif [[ -z "$node" ]]; then
          node="$1"
        else
          wrong_usage "'$1' is one word too many"
        fi
        ;;
    esac
    shift
  done
  case "$command" in
    '') wrong_usage 'what to do? start, stop, status, kill, pause, resume or logs' ;;
    stop) ;;
    start | status) [[ -z "$node" ]] || wrong_usage "$command takes no node; it is for all of them" ;;
    kill | pause | resume | logs)
      [[ -n "$node" ]] || wrong_usage "$command: which node? give its id"
      whole_number "$command" "$node" 1 120
      ;;
    *) wrong_usage "there is no command '$command'" ;;
  esac
  [[ -z "$controllers" ]] || whole_number --controllers "$controllers" 1 9
  # The highest port used is the base port + 229.
  [[ -z "$base_port" ]] || whole_number --base-port "$base_port" 1024 65000
  [[ -z "$brokers" ]] || whole_number --brokers "$brokers" 0 20
  [[ -z "$phantom_brokers" ]] || whole_number --phantom-brokers "$phantom_brokers" 0 99
  if [[ "$command" != start && -n "$controllers$base_port$brokers$program$phantom_brokers$phantoms${tls#no}" ]]; then
    wrong_usage "only --data-dir is an option of all commands; the others are of start"
  fi
  if [[ "$command" != logs ]] && $follow; then wrong_usage "--follow is an option of logs"; fi
}

# ---- What is in the data directory: cluster.conf (how it was started), and node-N for each node. ----

read_cluster() {
  [[ -f "$data_dir/cluster.conf" ]] || return 1
  local key value
  while IFS='=' read -r key value; do
    case "$key" in
      controllers) known_controllers="$value" ;;
      brokers) known_brokers="$value" ;;
      phantom_brokers) known_phantom_brokers="$value" ;;
      base_port) known_base_port="$value" ;;
      program) known_program="$value" ;;
      built) known_built="$value" ;;
      tls) known_tls="$value" ;;
    esac
  done <"$data_dir/cluster.conf"
}

# Sets controllers, brokers, base_port and program to those of the cluster. Fails if there is none.
load_cluster() {
  read_cluster || fail "there is no cluster in $data_dir: start one, or give its --data-dir"
  controllers="$known_controllers"
  brokers="${known_brokers:-0}"
  base_port="$known_base_port"
  program="$known_program"
  tls="${known_tls:-no}"
  data_dir="$(readlink -f "$data_dir")"
  trust_cluster
}

is_broker() { (($1 > 100)); }
role_of() { if is_broker "$1"; then printf broker; else printf controller; fi; }
controller_ids() { seq 1 "$controllers"; }
broker_ids() { seq 101 $((100 + brokers)); }
node_dir() { printf '%s/node-%s' "$data_dir" "$1"; }
# The offset of a node among those of its role, from 0, and for brokers 10 further.
offset_of() { if is_broker "$1"; then printf '%s' $(($1 - 101 + 10)); else printf '%s' $(($1 - 1)); fi; }
client_port() { printf '%s' $((base_port + $(offset_of "$1"))); }
controller_port() { printf '%s' $((base_port + 100 + $1 - 1)); }
http_port() { printf '%s' $((base_port + 200 + $(offset_of "$1"))); }

# Brokers, or the controllers if there are none: both answer what a command line asks of the cluster.
bootstrap() {
  local list='' i
  for i in $(if ((brokers > 0)); then broker_ids; else controller_ids; fi); do
    list+="${list:+,}$host:$(client_port "$i")"
  done
  printf '%s' "$list"
}

quorum_addresses() {
  local list='' i
  for ((i = 1; i <= controllers; ++i)); do list+="${list:+,}$host:$(controller_port "$i")"; done
  printf '%s' "$list"
}

voters() {
  local list='' i
  for ((i = 1; i <= controllers; ++i)); do list+="${list:+,}$i@$host:$(controller_port "$i")"; done
  printf '%s' "$list"
}

# ---- Certificates: an authority of the cluster's own, and one for each node. ----

# What this script asks the nodes, it asks by TLS then, too.
trust_cluster() { [[ "$tls" == no ]] || export MILLRACE_TLS_CA="$data_dir/tls/authority.pem"; }

make_authority() {
  command -v openssl >/dev/null || fail '--tls needs the program openssl'
  mkdir -p "$data_dir/tls"
  (
    umask 077
    cd "$data_dir/tls"
    [[ -f authority.pem ]] && exit 0
    openssl ecparam -name prime256v1 -genkey -noout -out authority.key
    openssl req -x509 -new -key authority.key -subj '/CN=local_cluster' -days 365 -out authority.pem
  ) 2>"$data_dir/openssl.log" || fail "no authority could be made: $(cat "$data_dir/openssl.log")"
}

# Who a node is, is said by the URI; the addresses are for clients.
make_certificate() { # ID
  (
    umask 077
    cd "$data_dir/tls"
    [[ -f "node-$1.pem" ]] && exit 0
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "node-$1.key"
    openssl req -new -key "node-$1.key" -subj "/CN=node-$1" -out "node-$1.request"
    printf 'subjectAltName=URI:millrace://local/node/%s,IP:%s,DNS:localhost\n' "$1" "$host" >"node-$1.extensions"
    openssl x509 -req -in "node-$1.request" -CA authority.pem -CAkey authority.key -CAcreateserial -days 365 \
      -extfile "node-$1.extensions" -out "node-$1.certificate"
    cat "node-$1.key" "node-$1.certificate" >"node-$1.pem"
    rm "node-$1.key" "node-$1.request" "node-$1.extensions" "node-$1.certificate"
  ) 2>"$data_dir/openssl.log" || fail "no certificate for node $1 could be made: $(cat "$data_dir/openssl.log")"
}

write_security() { # ID
  [[ "$tls" == yes ]] || return 0
  make_certificate "$1"
  cat >>"$(node_dir "$1")/server.yaml" <<CONFIG
listener.security.protocol.map: CLIENTS:SSL,CONTROLLER:SSL
ssl.keystore.location: $data_dir/tls/node-$1.pem
ssl.truststore.location: $data_dir/tls/authority.pem
ssl.cluster.name: local
CONFIG
  ! is_broker "$1" || printf 'controller.listener.names: CONTROLLER\n' >>"$(node_dir "$1")/server.yaml"
}

write_config() {
  local clients=PLAINTEXT
  [[ "$tls" == no ]] || clients=CLIENTS
  if is_broker "$1"; then
    cat >"$(node_dir "$1")/server.yaml" <<CONFIG
node.id: $1
process.roles: broker
controller.quorum.voters: $(voters)
listeners: $clients://$host:$(client_port "$1")
http.listener: $host:$(http_port "$1")
CONFIG
    write_security "$1"
    return
  fi
  cat >"$(node_dir "$1")/server.yaml" <<CONFIG
node.id: $1
process.roles: controller
controller.quorum.voters: $(voters)
listeners: $clients://$host:$(client_port "$1"),CONTROLLER://$host:$(controller_port "$1")
controller.listener.names: CONTROLLER
http.listener: $host:$(http_port "$1")
CONFIG
  write_security "$1"
  # A broker without a process is never heard of: no session may end for its silence.
  ((phantom_brokers == 0)) || printf 'broker.session.timeout.ms: 2147483647\n' >>"$(node_dir "$1")/server.yaml"
}

# ---- Processes. ----

# Prints the process id of node N if it runs. Another process that has got its id since is not meant.
pid_of() {
  local pid
  pid="$(cat "$(node_dir "$1")/pid" 2>/dev/null)" || return 1
  [[ -n "$pid" ]] && tr "\0" "\n" 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF "$(node_dir "$1")/server.yaml" ||
    return 1
  # One that has ended and was not waited for has no command line; this is for what comes between.
  [[ "$(state_letter "$pid")" != Z ]] || return 1
  printf '%s' "$pid"
}

state_letter() { sed -n 's/^State:\s*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null || true; }

require_node() {
  local all
  all="$(controller_ids | xargs) $(broker_ids | xargs)"
  [[ " $all " == *" $node "* ]] || fail "there is no node $node: the cluster in $data_dir has the nodes $all"
}

require_running() {
  require_node
  pid="$(pid_of "$node")" || fail "$(role_of "$node") $node does not run"
}

build_program() {
  cd "$root"
  source tools/build_environment.sh
  say 'building the release binary (the first time takes some minutes)'
  bazel build --config=release "${build_flags[@]}" //tools/millrace //tools/bench/probe:phantom_brokers \
    >&2 </dev/null || fail 'the build failed'
  local built
  built="$(bazel info --config=release bazel-bin 2>/dev/null </dev/null)"
  program="$built/tools/millrace/millrace"
  phantoms="${phantoms:-$built/tools/bench/probe/phantom_brokers}"
  cd "$OLDPWD"
}

start_node() {
  local dir
  dir="$(node_dir "$1")"
  mkdir -p "$dir"
  write_config "$1"
  # In a session of its own, so that Ctrl-C at a terminal is not for it.
  setsid "$program" server --config "$dir/server.yaml" --data-dir "$dir/data" >>"$dir/log" 2>&1 </dev/null &
  printf '%s\n' "$!" >"$dir/pid"
  # What becomes of it is read from /proc, not told by this shell.
  disown
}

# Waits until every node answers a question about the quorum: a controller that knows a leader, a broker that serves.
await_ready() {
  local deadline=$(($(now_ms) + start_seconds_max * 1000)) i
  for i in $(controller_ids) $(broker_ids); do
    until "$program" quorum describe --timeout 2 --bootstrap "$host:$(client_port "$i")" \
      >/dev/null 2>"$data_dir/describe.log" </dev/null; do
      if ! pid_of "$i" >/dev/null; then
        say "the last lines of $(role_of "$i") $i:"
        tail -n 10 "$(node_dir "$i")/log" >&2
        fail "$(role_of "$i") $i has ended"
      fi
      (($(now_ms) < deadline)) ||
        fail "$(role_of "$i") $i did not answer within $start_seconds_max s: $(tail -n 3 "$data_dir/describe.log")"
      sleep 0.1
    done
  done
}

start() {
  local known_controllers='' known_brokers='' known_phantom_brokers='' known_base_port='' known_program='' known_built=''
  local known_tls=''
  local built=no i started=0
  if read_cluster; then
    [[ -z "$controllers" || "$controllers" == "$known_controllers" ]] ||
      fail "the cluster in $data_dir has $known_controllers controllers, not $controllers; give another --data-dir"
    [[ -z "$base_port" || "$base_port" == "$known_base_port" ]] ||
      fail "the cluster in $data_dir has base port $known_base_port, not $base_port; give another --data-dir"
    [[ "$tls" == no || "${known_tls:-no}" == yes ]] ||
      fail "the cluster in $data_dir was made without --tls; give another --data-dir"
    tls="${known_tls:-no}"
  fi
  controllers="${controllers:-${known_controllers:-3}}"
  phantom_brokers="${phantom_brokers:-${known_phantom_brokers:-0}}"
  # More brokers may be added to a cluster at any time.
  if ((phantom_brokers > 0)); then brokers="${brokers:-0}"; fi
  brokers="${brokers:-${known_brokers:-3}}"
  ((phantom_brokers == 0 || brokers == 0)) ||
    fail "phantom brokers are never heard of, and brokers are watched over: have one or the other"
  [[ "$tls" == no ]] || ((phantom_brokers == 0)) || fail "phantom brokers speak no TLS"
  base_port="${base_port:-${known_base_port:-19092}}"
  # A program that was given is kept; one that was built is built again, as the tree may have changed.
  if [[ -z "$program" && "$known_built" == no ]]; then program="$known_program"; fi
  if [[ -z "$program" ]]; then
    build_program
    built=yes
  fi
  program="$(readlink -f "$program")"
  [[ -x "$program" ]] || fail "there is no program at $program"
  mkdir -p "$data_dir"
  data_dir="$(readlink -f "$data_dir")"
  printf 'controllers=%s\nbrokers=%s\nphantom_brokers=%s\nbase_port=%s\nprogram=%s\nbuilt=%s\ntls=%s\n' \
    "$controllers" "$brokers" "$phantom_brokers" "$base_port" "$program" "$built" "$tls" >"$data_dir/cluster.conf"
  [[ "$tls" == no ]] || make_authority
  trust_cluster
  for i in $(controller_ids) $(broker_ids); do
    if ! pid_of "$i" >/dev/null; then
      start_node "$i"
      started=$((started + 1))
    fi
  done
  say "started $started of $controllers controllers and $brokers brokers; their data is in $data_dir"
  await_ready
  if [[ -n "$phantoms" ]] && ((phantom_brokers > 0)); then
    "$phantoms" --controllers "$(quorum_addresses)" --count "$phantom_brokers" >&2 ||
      fail 'no brokers could be registered'
  fi
  [[ "$tls" == no ]] || say "clients believe the authority in $MILLRACE_TLS_CA (--tls-ca, or export MILLRACE_TLS_CA)"
  say 'all of them answer; clients connect to:'
  printf '%s\n' "$(bootstrap)"
}

# Brokers first: they hand over what they lead, for which they need the controllers.
stop() {
  forced=0
  stopped=0
  if [[ -n "$node" ]]; then
    require_running
    stop_nodes "$node"
    say "stopped $(role_of "$node") $node"
    return "$forced"
  fi
  stop_nodes $(broker_ids)
  stop_nodes $(controller_ids)
  say "stopped $stopped of $((controllers + brokers)) nodes"
  return "$forced"
}

stop_nodes() { # ID...
  local deadline=$(($(now_ms) + stop_seconds_max * 1000)) i pid running=()
  for i in "$@"; do
    pid="$(pid_of "$i")" || continue
    running+=("$i")
    kill -TERM "$pid" 2>/dev/null || true
    # One that is paused takes the signal when it runs again.
    kill -CONT "$pid" 2>/dev/null || true
  done
  for i in "${running[@]}"; do
    while pid="$(pid_of "$i")"; do
      if (($(now_ms) >= deadline)); then
        say "$(role_of "$i") $i did not stop within $stop_seconds_max s of SIGTERM: it is killed"
        kill -KILL "$pid" 2>/dev/null || true
        forced=1
        break
      fi
      sleep 0.05
    done
    rm -f "$(node_dir "$i")/pid"
  done
  stopped=$((stopped + ${#running[@]}))
}

status() {
  local i pid state some='' found
  printf '%-5s %-11s %-8s %-8s %-22s %s\n' NODE ROLE PROCESS STATE CLIENTS CONTROLLERS
  for i in $(controller_ids) $(broker_ids); do
    pid='-'
    state=stopped
    found='-'
    is_broker "$i" || found="$host:$(controller_port "$i")"
    if pid="$(pid_of "$i")"; then
      state=running
      if [[ "$(state_letter "$pid")" == T ]]; then state=paused; elif ! is_broker "$i"; then some=yes; fi
    fi
    printf '%-5s %-11s %-8s %-8s %-22s %s\n' "$i" "$(role_of "$i")" "${pid:--}" "$state" "$host:$(client_port "$i")" \
      "$found"
  done
  [[ -n "$some" ]] || return 0
  printf '\n'
  brokers=0
  "$program" quorum describe --timeout 10 --bootstrap "$(bootstrap)" </dev/null
}

parse "$@"
case "$command" in
  start) start ;;
  stop | status)
    load_cluster
    data_dir="$(readlink -f "$data_dir")"
    "$command"
    ;;
  *)
    load_cluster
    data_dir="$(readlink -f "$data_dir")"
    if [[ "$command" == logs ]]; then
      require_node
      if $follow; then exec tail -n 100 -F "$(node_dir "$node")/log"; fi
      exec tail -n 100 "$(node_dir "$node")/log"
    fi
    require_running
    case "$command" in
      kill)
        kill -KILL "$pid"
        rm -f "$(node_dir "$node")/pid"
        say "killed $(role_of "$node") $node"
        ;;
      pause)
        kill -STOP "$pid"
        say "paused $(role_of "$node") $node"
        ;;
      resume)
        kill -CONT "$pid"
        say "$(role_of "$node") $node runs again"
        ;;
    esac
    ;;
esac
