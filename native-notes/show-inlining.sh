#!/bin/sh
# Shows what V8's limits on inlining cost the director's core: the bench's core with the limits that
# src/control/v8-settings.ts raises, and with V8's own. Needs no root.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
keep_limits='import v8 from "node:v8";
  import { syncBuiltinESMExports } from "node:module";
  v8.setFlagsFromString = () => {};
  syncBuiltinESMExports();'

for method in dsr nat; do
  for limits in raised "V8's own"; do
    [ "$limits" = raised ] && code='' || code=$keep_limits
    node --import "data:text/javascript,$code" "$root/dist/lab/bench/core-child.js" "$method" |
      node -e "const { runs } = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        const median = runs.sort((a, b) => a - b)[runs.length >> 1].toFixed(1);
        console.log(process.argv[1].padEnd(4), process.argv[2].padEnd(9), median, 'ns a packet')" \
        "$method" "$limits"
  done
done
