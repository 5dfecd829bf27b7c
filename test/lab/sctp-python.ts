// SCTP for the lab's Python, by raw sockets: the kernel here has none.

/** Makes a packet of one chunk, with its CRC32c (RFC 9260, appendix A). */
export const SCTP_PYTHON = `
import socket, struct, sys
def crc(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff
def packet(source, destination, tag, chunk):
    head = struct.pack('!HHI', source, destination, tag)
    body = struct.pack('!BBH', chunk, 0, 20) + bytes(range(16))
    return head + struct.pack('<I', crc(head + bytes(4) + body)) + body
`;
