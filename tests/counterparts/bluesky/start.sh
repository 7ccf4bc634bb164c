#!/usr/bin/env bash
# Installs what is missing, starts a PostgreSQL :55432 and a Redis :56379 of its own, then the network. Prints one line of JSON when it is ready.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}
pg=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1); data=$state/bluesky-db
"$here/install.sh"
mkdir -p "$data"; chown -R postgres "$data"
as_postgres() { su postgres -c "$1"; }
[ -d "$data/pg" ] || as_postgres "$pg/initdb -D $data/pg -U pg --auth=trust -E UTF8 > /dev/null"
options="-p 55432 -c listen_addresses=127.0.0.1 -c unix_socket_directories=$data -c fsync=off -c shared_buffers=64MB"
as_postgres "$pg/pg_ctl -D $data/pg status > /dev/null" || as_postgres "$pg/pg_ctl -D $data/pg -w -l $data/pg.log -o '$options' start > /dev/null"
psql -h 127.0.0.1 -p 55432 -U pg -d postgres -tAc "select 1 from pg_database where datname='at'" | grep -q 1 || createdb -h 127.0.0.1 -p 55432 -U pg at
redis-cli -p 56379 ping > /dev/null 2>&1 \
  || redis-server --port 56379 --bind 127.0.0.1 --save '' --appendonly no --daemonize yes --pidfile "$data/redis.pid" --dir "$state" > /dev/null
export PATH="$state/node/bin:$PATH" REDIS_HOST=127.0.0.1:56379 DB_POSTGRES_URL=postgresql://pg@127.0.0.1:55432/at
cp "$here/network.mjs" "$state/bluesky/"
cd "$state/bluesky"
exec node network.mjs
