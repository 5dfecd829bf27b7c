// Multicast groups that the kernel joins for us, so that it says so by MLD (RFC 3810): a switch
// that listens to that sends a group's frames only to who asked for it, and questions for an IPv6
// address go to a group. The packet sockets' own memberships open the network card and tell no
// switch. What cannot be joined is passed over: where IPv6 is off, nobody could tell the switch
// anyhow.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

export interface GroupKeeper {
  /** Joins these groups on each of these interfaces, and leaves all others. */
  keep(groups: readonly string[], interfaces: readonly string[]): Promise<void>;
  /** Leaves all. */
  close(): void;
}

export function keepGroups(): GroupKeeper {
  let socket: Socket | undefined;
  const joined = new Set<string>();
  const change = (what: 'addMembership' | 'dropMembership', key: string): boolean => {
    const [group = '', name] = key.split('%');
    try {
      socket?.[what](group, `::%${name}`);
      return true;
    } catch {
      return false;
    }
  };
  return {
    async keep(groups, interfaces) {
      const wanted = new Set(
        interfaces.flatMap((name) => groups.map((group) => `${group}%${name}`)),
      );
      if (wanted.size > 0) socket ??= await openSocket();
      for (const key of [...joined].filter((each) => !wanted.has(each))) {
        change('dropMembership', key);
        joined.delete(key);
      }
      for (const key of wanted) {
        if (!joined.has(key) && change('addMembership', key)) joined.add(key);
      }
    },
    close() {
      socket?.close();
      socket = undefined;
      joined.clear();
    },
  };
}

/** A socket that holds memberships and nothing else: bound to loopback, nobody can send to it. */
async function openSocket(): Promise<Socket | undefined> {
  const socket = createSocket('udp6');
  socket.unref();
  try {
    socket.bind({ address: '::1', exclusive: true });
    await once(socket, 'listening');
    return socket;
  } catch {
    socket.close();
    return undefined;
  }
}
