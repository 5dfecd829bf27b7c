// Room for thousands of connections a second. With the defaults of Linux a client has 28,232 ports,
// and each is taken for a minute after its connection ended: what opens more than 470 connections a
// second would soon measure that, and no balancer (Documentation/networking/ip-sysctl.rst).
import type { Lab } from '../net/lab.ts';
import { setSysctls } from '../net/links.ts';
import type { Topology } from './topology.ts';

const ROOM: Readonly<Record<string, string>> = {
  'net.ipv4.ip_local_port_range': '1024 65535',
  'net.ipv4.tcp_tw_reuse': '1',
};

/** Of all hosts: the client on every path, a proxy on its own. */
export async function makeRoomForLoad(lab: Lab, topology: Topology): Promise<void> {
  await Promise.all(topology.hosts.map(({ name }) => setSysctls(lab, name, ROOM)));
}
