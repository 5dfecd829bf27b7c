// Large tables in huge pages (2 MiB instead of 4 KiB): a packet that looks up one of millions of
// flows then finds most of its translations in the processor's TLB. Advice only (madvise(2)): where
// the kernel does not follow it, everything works as before.
import { loadLibc } from './libc-unsafe.ts';

const MADV_HUGEPAGE = 14;
const PAGE_BYTES = 4096n;
const HUGE_PAGE_BYTES = 2 << 20;

/** Advises the kernel for all of these arrays that are larger than a huge page. */
export function adviseHugePages(arrays: readonly ArrayBufferView[]): void {
  const libc = loadLibc();
  for (const array of arrays) {
    if (array.byteLength < 2 * HUGE_PAGE_BYTES) continue;
    const address = libc.addressOf(array);
    const start = (address + PAGE_BYTES - 1n) & ~(PAGE_BYTES - 1n);
    const bytes = array.byteLength - Number(start - address);
    libc.madvise(start, bytes, MADV_HUGEPAGE);
  }
}
