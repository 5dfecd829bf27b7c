#!/bin/sh
# Set-up in one step, safe to repeat: Debian packages, npm packages, build. Quiet when all is there.
set -eu
cd "$(dirname "$0")/.."

packages="libpcap-dev python3 make g++ iproute2 nftables ethtool iputils-ping iputils-arping procps \
  util-linux libcap2-bin tcpdump tshark nginx-light libnginx-mod-stream haproxy iperf3 curl wrk sockperf \
  mariadb-server sysbench memcached nutcracker libmemcached-tools traceroute \
  bind9-dnsutils dnsmasq-base nmap hping3 python3-scapy"
missing=""
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
    missing="$missing $package"
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then
    echo "setup: installing Debian packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # nginx must not start by itself on the host: the lab starts its own, inside its namespaces.
    policy=/usr/sbin/policy-rc.d
    made_policy=""
    if [ ! -e "$policy" ]; then
      printf '#!/bin/sh\nexit 101\n' > "$policy"
      chmod +x "$policy"
      made_policy=yes
    fi
    [ -z "$made_policy" ] || trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $missing >/dev/null
    [ -z "$made_policy" ] || rm -f "$policy"
  else
    echo "setup: not root, so these Debian packages stay missing:$missing" >&2
    echo "setup: as root: apt-get install --no-install-recommends$missing" >&2
  fi
fi

if [ ! -e node_modules/.package-lock.json ] ||
  [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "setup: installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi

node_modules/.bin/tsc -p tsconfig.json
chmod +x dist/src/cli/main.js 2>/dev/null || true
