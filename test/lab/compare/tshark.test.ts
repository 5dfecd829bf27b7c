// What of tshark's remarks is a complaint about a capture, and what is TCP's own life.
import { expect, test } from 'vitest';
import { readExpert } from '../../../lab/compare/tshark.ts';

const REMARKS = `
Warns (149)
=============
   Frequency      Group           Protocol  Summary
           6   Sequence                TCP  D-SACK Sequence
         141   Sequence                TCP  This frame is a (suspected) out-of-order segment
           2  Malformed               HTTP  Something strange
`;

const ERRORS = `
Errors (4)
=============
   Frequency      Group           Protocol  Summary
           2   Checksum                TCP  Bad checksum [should be 0xb4c3]
           1   Checksum                TCP  TCP Checksum 0xffff instead of 0x0000 (see RFC 1624)
           1  Malformed               IPv4  Malformed Packet (Exception occurred)
`;

test('a remark on retransmissions is no complaint, a malformed frame is', () => {
  expect(readExpert(REMARKS)).toEqual(['HTTP: Something strange (2 frames)']);
  expect(readExpert('')).toEqual([]);
});

test('what tshark takes a payload for by its port is its own guess', () => {
  const guess = '           1   Protocol             Thrift  Type value not expected.\n';
  expect(readExpert(ERRORS.replace('           2   Checksum', `${guess}$&`))).toEqual(
    readExpert(ERRORS),
  );
});

test('errors are complaints, and end where the warnings begin', () => {
  expect(readExpert(ERRORS + REMARKS)).toEqual([
    'TCP: Bad checksum [should be 0xb4c3] (2 frames)',
    'IPv4: Malformed Packet (Exception occurred) (1 frames)',
    'HTTP: Something strange (2 frames)',
  ]);
});
