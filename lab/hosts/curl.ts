// curl on the client: one request, and everything that is worth knowing of its answer.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatEndpoint } from '../../src/config/endpoint.ts';
import type { Lab } from '../net/lab.ts';

export interface CurlOptions {
  readonly host: string;
  readonly url: string;
  /** For the whole request; 5 seconds unless given. */
  readonly timeoutSeconds?: number;
  /** The client's port, for a flow that shall be found again. */
  readonly localPort?: number;
}

export interface CurlAnswer {
  /** True if there was an answer with status 200. */
  readonly ok: boolean;
  /** HTTP status, or 0 without an answer. */
  readonly status: number;
  /** The real that answered, as its X-Real header says, or undefined. */
  readonly real: string | undefined;
  readonly bytes: number;
  /** SHA-256 of the body, in hex. */
  readonly sha256: string;
  /** Address and port that the client spoke from. */
  readonly local: string;
  /** Address and port that the client spoke to. */
  readonly remote: string;
  readonly seconds: number;
  /** What curl says about a failure; empty if there was none. */
  readonly error: string;
}

interface CurlReport {
  readonly http_code: number;
  readonly local_ip: string;
  readonly local_port: number;
  readonly remote_ip: string;
  readonly remote_port: number;
  readonly time_total: number;
  readonly errormsg: string | null;
}

let requests = 0;

/** Asks once. A failed request is an answer too: see `ok` and `error`. */
export async function curl(lab: Lab, options: CurlOptions): Promise<CurlAnswer> {
  const stem = join(lab.directory, `curl-${++requests}`);
  const body = `${stem}.body`;
  const headers = `${stem}.headers`;
  const argv = ['curl', '-sS', '--noproxy', '*', '-m', String(options.timeoutSeconds ?? 5)];
  if (options.localPort !== undefined) argv.push('--local-port', String(options.localPort));
  argv.push('-o', body, '-D', headers, '-w', '%{json}', options.url);
  try {
    const output = await lab.exec(options.host, argv, { onFailure: 'return' });
    const report = JSON.parse(output.stdout) as CurlReport;
    const content = await readFile(body).catch(() => Buffer.alloc(0));
    return {
      ok: output.exitCode === 0 && report.http_code === 200,
      status: report.http_code,
      real: await realIn(headers),
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
      local: formatEndpoint(report.local_ip, report.local_port),
      remote: formatEndpoint(report.remote_ip, report.remote_port),
      seconds: report.time_total,
      error: report.errormsg ?? '',
    };
  } finally {
    for (const path of [body, headers]) rmSync(path, { force: true });
  }
}

async function realIn(headersFile: string): Promise<string | undefined> {
  const headers = await readFile(headersFile, 'utf8').catch(() => '');
  return /^x-real:\s*(\S+)/im.exec(headers)?.[1];
}
