// How a topology is drawn: every host, every wire, and the ways of requests and replies.
import { describe, expect, it } from 'vitest';
import { BREAKS, findBreak } from '../../lab/topologies/breaks.ts';
import { TOPOLOGIES } from '../../lab/topologies/build.ts';
import { draw } from '../../lab/topologies/draw.ts';

const ESCAPE = '\u001b';

describe('draw', () => {
  it('lets the reply of DSR go straight to the client', () => {
    expect(draw(TOPOLOGIES.dsr)).toMatchInlineSnapshot(`
      "dsr: one arm; the reals have the VIP on lo and answer the client directly

      ┌ client ────────────────────┐ 1 request to 192.0.2.100         ┌ director ──────────────────┐
      │ eth0 192.0.2.10            │─────────────────────────────────▶│ eth0 192.0.2.2             │
      │      02:00:00:00:01:10     │                                  │      02:00:00:00:01:02     │
      └────────────────────────────┘                                  │ answers ARP 192.0.2.100    │
            ▲ 3 reply from 192.0.2.100                                └────────────────────────────┘
            ║                                                          2 new MAC addresses │
            ╠═══════════════════════════════╦═══════════════════════════════╗              │
            ║              ┌────────────────╫──────────────┬────────────────╫──────────────┤
            ║              ▼                ║              ▼                ║              ▼
      ┌ r1 ────────────────────────┐  ┌ r2 ────────────────────────┐  ┌ r3 ────────────────────────┐
      │ eth0 192.0.2.11            │  │ eth0 192.0.2.12            │  │ eth0 192.0.2.13            │
      │      02:00:00:00:01:11     │  │      02:00:00:00:01:12     │  │      02:00:00:00:01:13     │
      │ lo   192.0.2.100 (the VIP) │  │ lo   192.0.2.100 (the VIP) │  │ lo   192.0.2.100 (the VIP) │
      └────────────────────────────┘  └────────────────────────────┘  └────────────────────────────┘

      ─▶ requests   ═▶ replies   the director changes MAC addresses only
      networks: lan 192.0.2.0/24
      services: web tcp/80 (rr), iperf-tcp tcp/5201 (sh), iperf-udp udp/5201 (sh)"
    `);
  });

  it('lets the reply of NAT go through the director', () => {
    expect(draw(TOPOLOGIES.nat)).toMatchInlineSnapshot(`
      "nat: two arms; the reals are inside and answer through the director, their default route

      ┌ client ────────────────────┐ 1 request to 198.51.100.100      ┌ director ──────────────────┐
      │ eth0 198.51.100.10         │─────────────────────────────────▶│ eth0 198.51.100.2          │
      │      02:00:00:00:01:10     │◀═════════════════════════════════│      02:00:00:00:01:02     │
      └────────────────────────────┘ 4 reply from 198.51.100.100      │ eth1 10.77.0.1             │
                                                                      │      02:00:00:00:02:01     │
                                                                      │ answers ARP 198.51.100.100 │
                                                                      └────────────────────────────┘
                                                     3 reply to the client  ▲              │ 2 to the real
            ╔═══════════════════════════════╦═══════════════════════════════╣              │
            ║              ┌────────────────╫──────────────┬────────────────╫──────────────┤
            ║              ▼                ║              ▼                ║              ▼
      ┌ r1 ────────────────────────┐  ┌ r2 ────────────────────────┐  ┌ r3 ────────────────────────┐
      │ eth0 10.77.0.11            │  │ eth0 10.77.0.12            │  │ eth0 10.77.0.13            │
      │      02:00:00:00:02:11     │  │      02:00:00:00:02:12     │  │      02:00:00:00:02:13     │
      │ default route 10.77.0.1    │  │ default route 10.77.0.1    │  │ default route 10.77.0.1    │
      └────────────────────────────┘  └────────────────────────────┘  └────────────────────────────┘

      ─▶ requests   ═▶ replies   198.51.100.100 becomes 10.77.0.11 to 10.77.0.13, and back in replies
      networks: outside 198.51.100.0/24, inside 10.77.0.0/24
      services: web tcp/80 (rr), iperf-tcp tcp/5201 (sh), iperf-udp udp/5201 (sh)"
    `);
  });

  it('fits into 100 columns, broken topologies too', () => {
    const drawings = BREAKS.flatMap((broken) =>
      broken.topologies.map((name) => {
        const topology = TOPOLOGIES[name];
        return draw(broken.change?.(topology) ?? topology, { broken });
      }),
    );
    for (const line of drawings.join('\n').split('\n')) {
      expect([...line].length, line).toBeLessThanOrEqual(100);
    }
  });

  it('lists the hosts where the terminal is narrower', () => {
    const broken = findBreak('dsr', 'arp-real');
    const narrow = draw(TOPOLOGIES.dsr, { columns: 80 });
    expect(narrow).toContain(
      '(The picture takes 100 columns; here are 80.)\nclient    eth0 192.0.2.10',
    );
    expect(narrow).toContain('r3        eth0 192.0.2.13, lo 192.0.2.100');
    expect(narrow.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(narrow).not.toContain('┌');
    expect(draw(TOPOLOGIES.dsr, { columns: 80, broken, colour: true })).toContain(
      `${ESCAPE}[31mr2`,
    );
    expect(draw(TOPOLOGIES.dsr, { columns: 100 })).toBe(draw(TOPOLOGIES.dsr));
  });

  it('colours only where it is told to, and the colours change no column', () => {
    const plain = draw(TOPOLOGIES.nat);
    const coloured = draw(TOPOLOGIES.nat, { colour: true });
    expect(plain).not.toContain(ESCAPE);
    expect(coloured).toContain(ESCAPE);
    expect(coloured.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')).toBe(plain);
  });

  it('says what is broken, and marks the host', () => {
    const broken = findBreak('dsr', 'arp-real');
    const drawing = draw(TOPOLOGIES.dsr, { broken, colour: true });
    expect(drawing).toContain(`${ESCAPE}[31mr2`);
    expect(drawing).not.toContain(`${ESCAPE}[31mr1`);
    expect(drawing).toContain('r2 answers ARP for the VIP');
  });
});
