// `furiwake lab shell HOST`: a shell, or one command, on a host of a lab that is up. The prompt
// says where one is; everything but the network is the machine's own.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { environment } from '../net/command.ts';
import type { LabState } from '../net/state.ts';
import { requireLab, UsageError } from '../requirements.ts';
import { findLab } from './find.ts';

export interface ShellOptions {
  readonly host: string;
  /** A command to run instead of a shell. */
  readonly command: readonly string[];
  readonly labId: string | undefined;
}

/** Resolves with the exit code of the shell or the command. */
export async function runShell(options: ShellOptions): Promise<number> {
  requireLab(['ip']);
  const lab = findLab(options.labId);
  const names = lab.hosts.map((host) => host.name);
  if (!names.includes(options.host)) {
    throw new UsageError(`found host ${options.host}; ${lab.id} has ${names.join(', ')}`);
  }
  const command = options.command.length > 0 ? options.command : shellFor(lab, options.host);
  return runThere(`${lab.id}-${options.host}`, command, `[${lab.id} ${options.host}] \\$ `);
}

function shellFor(lab: LabState, host: string): string[] {
  const shell = process.env.SHELL ?? '/bin/sh';
  if (basename(shell) !== 'bash') return [shell];
  // An environment's PS1 would not outlast ~/.bashrc.
  const file = join(lab.directory, `${host}.bashrc`);
  const prompt = `\\[\\e[1m\\][${lab.id} ${host}]\\[\\e[0m\\] \\w\\$ `;
  writeFileSync(file, `[ ! -r ~/.bashrc ] || . ~/.bashrc\nPS1='${prompt}'\n`);
  return [shell, '--rcfile', file];
}

async function runThere(namespace: string, command: readonly string[], prompt: string) {
  const argv = ['netns', 'exec', namespace, ...command];
  const child = spawn('ip', argv, { stdio: 'inherit', env: environment({ PS1: prompt }) });
  // A Ctrl-C is meant for what runs in there.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 128));
    });
  } finally {
    process.off('SIGINT', ignore);
  }
}
