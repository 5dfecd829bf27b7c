// The control API: what a running director tells, as HTTP with JSON over a Unix socket, so that
// curl can ask as well (`curl --unix-socket /run/furiwake.sock http://director/status`). It only
// reads. The file's mode is the access control: owner and group, nobody else.
import { existsSync, lstatSync, statSync, unlinkSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { FlowStatus, Status } from './status.ts';

/** Flows in an answer, unless the request says how many. */
export const DEFAULT_FLOW_LIMIT = 100;
export const MAXIMUM_FLOW_LIMIT = 100_000;

/** Leaves 0660 of the 0777 that bind(2) gives a socket. */
const SOCKET_UMASK = 0o117;
const ANSWER_TIMEOUT_MS = 5000;

/** The API cannot be served or reached; the message is for the operator. */
export class ApiError extends Error {}

export interface ApiSource {
  /** Path of the Unix socket. */
  readonly socket: string;
  status(): Status;
  flows(limit: number): Promise<readonly FlowStatus[]>;
}

export interface ApiServer {
  /** Ends all connections and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves the API. A socket that a director left behind is replaced.
 * @throws ApiError if another director serves it, or the socket cannot be made
 */
export async function serveApi(source: ApiSource): Promise<ApiServer> {
  await makeWay(source.socket);
  const server = createServer((incoming, response) => {
    answer(source, incoming)
      .catch((error: unknown) => fail(500, error instanceof Error ? error.message : String(error)))
      .then((outcome) => reply(response, outcome));
  });
  await listen(server, source.socket);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Removes the socket of a director that is gone; refuses anything else that is in the way. */
async function makeWay(socket: string): Promise<void> {
  const found = lstatSync(socket, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ApiError(
      `${socket} exists and is no socket; give another path as \`socket:\` in the configuration`,
    );
  if (await hasListener(socket))
    throw new ApiError(
      `another director serves ${socket}; ` +
        'stop it, or give another path as `socket:` in the configuration',
    );
  unlinkSync(socket);
}

/** True also where nobody may look: what cannot be told to be dead counts as alive. */
function hasListener(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED'),
    );
  });
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'no permission to create it there',
  EROFS: 'the file system is read-only',
  EADDRINUSE: 'another director has just taken it',
};

function listen(server: Server, socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      // Libuv gives EACCES for a missing directory, too.
      const reason = existsSync(dirname(socket))
        ? (LISTEN_ERRORS[error.code ?? ''] ?? error.message)
        : 'its directory does not exist';
      reject(
        new ApiError(
          `cannot serve ${socket}: ${reason}; \`socket:\` in the configuration gives the path`,
        ),
      );
    });
    // Node binds within this call, so nobody ever sees the socket with a wider mode.
    const umask = process.umask(SOCKET_UMASK);
    server.listen(socket, resolve);
    process.umask(umask);
  });
}

interface Outcome {
  readonly code: number;
  readonly body: unknown;
}

const fail = (code: number, error: string): Outcome => ({ code, body: { error } });

async function answer(source: ApiSource, incoming: IncomingMessage): Promise<Outcome> {
  const [path = '', query] = (incoming.url ?? '').split('?');
  if (incoming.method !== 'GET') return fail(405, `found ${incoming.method}, allowed GET`);
  if (path === '/status') return { code: 200, body: source.status() };
  if (path === '/flows') {
    const limit = parseLimit(new URLSearchParams(query).get('limit'));
    if (limit === undefined)
      return fail(400, `limit: allowed a whole number from 1 to ${MAXIMUM_FLOW_LIMIT}`);
    return { code: 200, body: await source.flows(limit) };
  }
  return fail(404, `found ${incoming.url}, allowed /status and /flows?limit=N`);
}

function parseLimit(text: string | null): number | undefined {
  if (text === null) return DEFAULT_FLOW_LIMIT;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= MAXIMUM_FLOW_LIMIT ? limit : undefined;
}

function reply(response: ServerResponse, { code, body }: Outcome): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

/** @throws ApiError if no director answers there */
export async function fetchStatus(socket: string): Promise<Status> {
  return (await fetchJson(socket, '/status')) as Status;
}

/**
 * @param limit most flows to ask for, 1 to MAXIMUM_FLOW_LIMIT
 * @throws ApiError if no director answers there
 */
export async function fetchFlows(socket: string, limit: number): Promise<readonly FlowStatus[]> {
  return (await fetchJson(socket, `/flows?limit=${limit}`)) as readonly FlowStatus[];
}

async function fetchJson(socket: string, path: string): Promise<unknown> {
  const { code, text } = await get(socket, path);
  const body = parseJson(text);
  if (body === undefined) throw new ApiError(`what answers at ${socket} is no furiwake director`);
  if (code !== 200) throw new ApiError(`the director at ${socket} answers: ${reasonIn(body)}`);
  return body;
}

function get(socket: string, path: string): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { socketPath: socket, path, agent: false, timeout: ANSWER_TIMEOUT_MS };
    const outgoing = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => reject(unreachable(socket, error)));
      response.on('end', () =>
        resolve({ code: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in 5 seconds')));
    outgoing.on('error', (error) => reject(unreachable(socket, error)));
    outgoing.end();
  });
}

function unreachable(socket: string, error: NodeJS.ErrnoException): ApiError {
  if (error.code === 'ENOENT')
    return new ApiError(
      `no director runs at ${socket} (there is no such socket); ` +
        'start one with furiwake run, or name the socket of the one that runs',
    );
  if (error.code === 'ECONNREFUSED' && !isSocket(socket))
    return new ApiError(`${socket} is no socket; name the \`socket:\` of a director that runs`);
  if (error.code === 'ECONNREFUSED')
    return new ApiError(
      `no director runs at ${socket} any more: the last one ended without removing the socket`,
    );
  if (error.code === 'EACCES')
    return new ApiError(`no permission to use ${socket}; be root or of the socket's group`);
  if (error.code?.startsWith('HPE_'))
    return new ApiError(`what answers at ${socket} is no furiwake director`);
  return new ApiError(`cannot ask the director at ${socket}: ${error.message}`);
}

const isSocket = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isSocket() ?? true;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonIn(body: unknown): string {
  const reason = (body as { error?: unknown } | null)?.error;
  return typeof reason === 'string' ? reason : JSON.stringify(body);
}
