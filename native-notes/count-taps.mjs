// For show-tap.sh: runs a command and counts the frames that came in by each packet socket and that
// the kernel of this network namespace sent meanwhile.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ETH_P_ALL, ETH_P_IP, openSocket, table, takeCount } from './packet-sockets.mjs';

const sentFrames = () => Number(readFileSync('/sys/class/net/eth0/statistics/tx_packets', 'utf8'));

// `all` would tap outgoing frames as well; `ip` is at the receive path alone.
const all = openSocket('eth0', { protocol: ETH_P_ALL, options: { ignoreOutgoing: 1 } });
const ip = openSocket('eth0', { protocol: ETH_P_IP });
const before = sentFrames();
spawnSync('sh', ['-c', process.argv[2]]);
process.stdout.write(
  table([
    ['who', 'frames'],
    ['socket of ETH_P_ALL got', takeCount(all)],
    ['socket of ETH_P_IP got', takeCount(ip)],
    ["the director's kernel sent by itself", sentFrames() - before],
  ]),
);
