// nginx on the reals: a web server that nobody here wrote. It answers `/` with the real's name and
// serves files of fixed sizes; every answer carries the name in the header X-Real.
import { createCipheriv } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { WEB_PORT } from '../topologies/topology.ts';
import { until } from '../wait.ts';
import { isListening } from './listening.ts';

const KIB = 1024;

/** Path to size in bytes. */
export const WEB_FILES: Readonly<Record<string, number>> = {
  '1KiB': KIB,
  '64KiB': 64 * KIB,
  '1MiB': 1024 * KIB,
  '16MiB': 16 * 1024 * KIB,
};

export interface NginxOptions {
  /** `on` unless given; `off` for load that would write a line for each of its requests. */
  readonly accessLog?: 'on' | 'off';
  /** Port 80 unless given. */
  readonly ports?: readonly number[];
  /** Processes that answer; 1 unless given. */
  readonly workers?: number;
}

/** Starts nginx on `host` and waits until it listens on its ports of every address. */
export async function startNginx(
  lab: Lab,
  host: string,
  options: NginxOptions = {},
): Promise<Daemon> {
  const files = writeWebFiles(lab);
  const directory = join(lab.directory, `${host}-nginx`);
  mkdirSync(directory, { recursive: true });
  const config = join(directory, 'nginx.conf');
  const { accessLog = 'on', ports = [WEB_PORT], workers = 1 } = options;
  writeFileSync(config, nginxConfig({ host, directory, files, accessLog, ports, workers }));
  const daemon = lab.spawn(host, { name: 'nginx', argv: nginxArgv(directory, config) });
  for (const port of ports) {
    await until(
      `nginx on ${host} to listen on port ${port}`,
      () => isListening(lab, host, 'tcp', port),
      { giveUp: daemon.whyNot },
    );
  }
  return daemon;
}

/** `-e` keeps nginx from opening the log of the machine's own nginx before it has read the file. */
function nginxArgv(directory: string, config: string): string[] {
  return ['nginx', '-e', 'stderr', '-p', directory, '-c', config];
}

interface ConfigValues extends Required<NginxOptions> {
  readonly host: string;
  readonly directory: string;
  readonly files: string;
}

function nginxConfig(values: ConfigValues): string {
  const { host, directory, files, accessLog, ports, workers } = values;
  const listens = ports
    .map((port) => `    listen [::]:${port} backlog=4096 ipv6only=off;`)
    .join('\n');
  const log = accessLog === 'on' ? `${join(directory, 'access.log')} lab` : 'off';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${join(directory, kind)};`)
    .join('\n');
  return `# The web server of the lab's real ${host}.
daemon off;
user root;
worker_processes ${workers};
pid ${join(directory, 'nginx.pid')};
error_log stderr warn;
events { worker_connections 8192; }
http {
${temporary}
  log_format lab '$time_iso8601 $remote_addr:$remote_port -> $server_addr:$server_port "$request" $status';
  access_log ${log};
  default_type application/octet-stream;
  sendfile on;
  keepalive_timeout 60s;
  keepalive_requests 1000000;
  server {
${listens}
    add_header X-Real ${host} always;
    location = / { default_type text/plain; return 200 "${host}\\n"; }
    location / { root ${files}; }
  }
}
`;
}

/** The files are the same on all reals, and the same in every run, so a wrong byte can be told. */
function writeWebFiles(lab: Lab): string {
  const directory = join(lab.directory, 'files');
  if (existsSync(directory)) return directory;
  mkdirSync(directory);
  for (const [name, bytes] of Object.entries(WEB_FILES)) {
    writeFileSync(join(directory, name), webFileContent(bytes));
  }
  return directory;
}

/** The content of a file of that size: bytes that do not compress and do not repeat. */
export function webFileContent(bytes: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(bytes));
}
