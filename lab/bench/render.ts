// The bench's result as people read it: conditions, what was measured, and how it stands to the
// targets.
import pc from 'picocolors';
import { curve } from './curve.ts';
import type { Sample } from './measure.ts';

interface Result {
  readonly conditions: Record<string, string | number>;
  readonly samples: Record<string, readonly Sample[]>;
  readonly targets: readonly {
    readonly name: string;
    readonly value: number;
    readonly wanted: number;
    readonly rule: string;
    readonly unit: string;
  }[];
  readonly failures: readonly { readonly part: string; readonly reason: string }[];
}

/** Three significant digits with the unit's prefix. */
function short(value: number): string {
  for (const [size, prefix] of [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ] as const) {
    if (value >= size) return `${(value / size).toPrecision(3)}${prefix}`;
  }
  return value.toPrecision(3);
}

const UNITS: Record<string, string> = {
  core: '',
  udp: 'packets/s',
  nat: 'bit/s',
  dsr: 'bit/s',
};

export function table({ conditions, samples, targets, failures }: Result): string {
  const lines = Object.entries(conditions).map(([name, value]) => pc.dim(`${name}: ${value}`));
  for (const [part, list] of Object.entries(samples)) {
    lines.push('', pc.bold(`${part} (median, half the interquartile range)`));
    if (part.startsWith('scale: ')) {
      lines.push(...curve(list));
      continue;
    }
    for (const { name, median, spread } of list) {
      const unit = UNITS[part] ?? '';
      const figure = `${short(median)}${unit}`.padStart(18);
      lines.push(`  ${name.padEnd(30)}${figure}  ±${(spread * 100).toFixed(1)} %`);
    }
  }
  lines.push('', pc.bold('targets'));
  for (const { name, value, wanted, rule, unit } of targets) {
    const figure = `${value.toFixed(2)} ${unit}`.padEnd(16);
    if (rule === 'none') {
      lines.push(`  ${name.padEnd(58)} ${figure} told beside`);
      continue;
    }
    const met = rule === 'at least' ? value >= wanted : value <= wanted;
    const verdict = met ? pc.green('met') : pc.red('missed');
    lines.push(`  ${name.padEnd(58)} ${figure} ${rule} ${wanted}: ${verdict}`);
  }
  for (const { part, reason } of failures) {
    lines.push(`  ${part.padEnd(58)} ${pc.red(`not measured: ${reason}`)}`);
  }
  return `${lines.join('\n')}\n`;
}
