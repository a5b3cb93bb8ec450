#!/usr/bin/env bash
# Runs every test, on SQLite and, where a server can be had, on PostgreSQL too. Installs what is missing where it may.
#
#   tests/run.sh [arguments for cargo test]
#
# RIALTO_TEST_POSTGRES=postgres://USER@HOST:PORT/DATABASE names a server to use; its user must be allowed to create
# databases. Otherwise the usual local one is tried, and then one is started for this run alone.
set -euo pipefail
cd "$(dirname "$0")/.."

SKIPPED=()
CLUSTER=""

# Runs a command as a user that PostgreSQL agrees to run as: not root.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        su postgres -s /bin/sh -c "$(printf '%q ' "$@")"
    else
        "$@"
    fi
}

finish() {
    if [ -n "$CLUSTER" ]; then
        as_postgres "$BIN/pg_ctl" -D "$CLUSTER/data" -m immediate stop >/dev/null 2>&1 || true
        rm -rf "$CLUSTER"
    fi
}
trap finish EXIT

# The folder of PostgreSQL's server programs.
server_programs() {
    local newest
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
    if [ -n "$newest" ] && [ -x "$newest/initdb" ]; then
        echo "$newest"
    elif command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
        dirname "$(command -v initdb)"
    fi
}

# Whether a server answers there. bash's own /dev/tcp, so that no client has to be installed.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

answers() { command -v psql >/dev/null && psql -q "$1" -c 'SELECT 1' >/dev/null 2>&1; }

start_postgres() {
    BIN=$(server_programs)
    if [ -z "$BIN" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "tests/run.sh: installing PostgreSQL"
        local log
        log=$(mktemp)
        if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy postgresql; } >"$log" 2>&1; then
            tail -n 5 "$log"
        fi
        rm -f "$log"
        BIN=$(server_programs)
    fi
    [ -n "$BIN" ] || { echo "PostgreSQL is not installed and cannot be installed from here"; return 1; }
    if [ "$(id -u)" = 0 ] && ! id postgres >/dev/null 2>&1; then
        echo "PostgreSQL does not run as root, and there is no user postgres"
        return 1
    fi
    CLUSTER=$(mktemp -d)
    if [ "$(id -u)" = 0 ]; then chown postgres "$CLUSTER"; fi
    local port=54320
    while listens "$port"; do port=$((port + 1)); done
    # Durability is the product's promise about its own crash, not about the database server's: no fsync.
    as_postgres "$BIN/initdb" -D "$CLUSTER/data" -U rialto --auth=trust -E UTF8 --no-sync >"$CLUSTER/initdb.log" 2>&1 &&
        as_postgres "$BIN/pg_ctl" -D "$CLUSTER/data" -l "$CLUSTER/server.log" -w \
            -o "-p $port -k $CLUSTER -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300" start \
            >/dev/null 2>&1 ||
        { echo "PostgreSQL did not start"; cat "$CLUSTER"/*.log 2>/dev/null | tail -n 5; return 1; }
    export RIALTO_TEST_POSTGRES="postgres://rialto@127.0.0.1:$port/postgres"
}

if [ -z "${RIALTO_TEST_POSTGRES:-}" ] && ! answers postgres://root@127.0.0.1:5432/postgres; then
    start_postgres || SKIPPED+=("PostgreSQL: every test that runs on both databases ran on SQLite only")
fi

STATUS=0
cargo test --workspace --locked --no-fail-fast "$@" || STATUS=$?

echo
if [ "${#SKIPPED[@]}" = 0 ]; then
    echo "tests/run.sh: nothing was skipped."
else
    printf 'tests/run.sh: skipped – %s\n' "${SKIPPED[@]}"
fi
exit "$STATUS"
