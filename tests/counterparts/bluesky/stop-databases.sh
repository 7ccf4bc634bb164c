#!/usr/bin/env bash
# When the network has been stopped by its process id: stops the PostgreSQL and the Redis that start.sh began.
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}
pg=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
su postgres -c "$pg/pg_ctl -D $state/bluesky-db/pg -m fast stop"
redis-cli -p 56379 shutdown nosave
