// nginx with its stream module: a proxy in user space for TCP and UDP.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../net/lab.ts';
import { NAT } from '../../topologies/nat.ts';
import { addressOf, type LabService, realsOf, type Topology } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { type Balancer, comparing, pathOf } from './open-path.ts';
import { addVipCommand, runScript } from './run-script.ts';

const SOURCE =
  'nginx documentation: ngx_stream_core_module, Example Configuration (worker_processes auto; ' +
  'UDP with reuseport and proxy_timeout 20s); ngx_stream_upstream_module, hash; ' +
  'the admin guide’s TCP and UDP Load Balancing';

/** Where Debian and others put it. */
const MODULES = [
  '/usr/lib/nginx/modules/ngx_stream_module.so',
  '/usr/lib64/nginx/modules/ngx_stream_module.so',
  '/etc/nginx/modules/ngx_stream_module.so',
];

const streamModule = (): string | undefined => MODULES.find((path) => existsSync(path));

function nginxStreamConfig(topology: Topology, directory: string): string {
  const { services } = topology;
  return `load_module ${streamModule()};
daemon off;
user root;
worker_processes auto;
pid ${join(directory, 'nginx.pid')};
error_log stderr warn;
events { worker_connections 8192; }
stream {
${services.map((service) => upstream(topology, service)).join('')}${services
  .map((service) => server(topology, service))
  .join('')}}
`;
}

function upstream(topology: Topology, { name, port, scheduler }: LabService): string {
  const hash = scheduler === 'rr' ? '' : '    hash $remote_addr;\n';
  const servers = realsOf(topology).map((real) => `    server ${addressOf(real)}:${port};\n`);
  return `  upstream ${name} {\n${hash}${servers.join('')}  }\n`;
}

function server({ vip }: Topology, { name, port, protocol }: LabService): string {
  const kind = protocol === 'udp' ? ' udp reuseport' : '';
  const timeout = protocol === 'udp' ? '    proxy_timeout 20s;\n' : '';
  return `  server {\n    listen ${vip}:${port}${kind};\n${timeout}    proxy_pass ${name};\n  }\n`;
}

async function startNginxStream(lab: Lab, topology: Topology): Promise<Balancer> {
  const vip = await runScript(lab, {
    text: addVipCommand(topology),
    source: 'nginx documentation, ngx_stream_core_module, listen: an address of the host itself',
  });
  const directory = join(lab.directory, 'director-nginx');
  mkdirSync(directory, { recursive: true });
  const text = nginxStreamConfig(topology, directory);
  const file = lab.writeFile('director-nginx/nginx.conf', text);
  // -e keeps nginx from opening the log of the machine's own nginx before it has read the file.
  const argv = ['nginx', '-e', 'stderr', '-p', directory, '-c', file];
  const daemon = lab.spawn('director', { name: 'nginx', argv });
  return { daemon, configs: [{ name: 'nginx.conf', text, source: SOURCE }, vip] };
}

export const NGINX_STREAM: Path = pathOf({
  name: 'nginx-stream',
  title: 'nginx stream',
  kind: 'proxy',
  summary: 'a proxy in user space for TCP and UDP; both directions go through it',
  topology: comparing(NAT),
  carriesUdp: true,
  lacks: () =>
    streamModule() === undefined
      ? 'nginx has no stream module here; ' +
        'run: apt-get install --no-install-recommends libnginx-mod-stream'
      : undefined,
  start: startNginxStream,
});
