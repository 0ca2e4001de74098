// XXH3 with 64 bits, for texts of 1 to 64 bytes with a seed, as `src/routing/buckets.rs` has it of names of versions
// (the specification: Yann Collet, "XXH3 Algorithm Overview", in doc/xxhash_spec.md of xxHash).

const MASK = (1n << 64n) - 1n;

/** The first bytes of the default secret, as little-endian words of eight bytes from each offset on. */
const SECRET = bytesOf(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f" +
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c",
);

const PRIME_1 = 0x9e3779b185ebca87n;
const PRIME_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME_3 = 0x165667b19e3779f9n;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;

/** Names are DNS labels, of at most 63 bytes. */
export const LONGEST = 64;

/** The hash of a text with a seed. */
export function xxh3(text: Uint8Array, seed: bigint): bigint {
  const { length } = text;
  const view = new DataView(text.buffer, text.byteOffset, length);
  if (length === 0 || length > LONGEST) throw new RangeError(`${length} bytes`);
  if (length <= 3) return shortest(text, seed);
  if (length <= 8) return short(view, seed);
  if (length <= 16) return medium(view, seed);
  return long(view, seed);
}

function shortest(text: Uint8Array, seed: bigint): bigint {
  const { length } = text;
  const [first, middle, last] = [0, length >> 1, length - 1].map((at) => BigInt(text[at] ?? 0));
  const combined = ((first ?? 0n) << 16n) | ((middle ?? 0n) << 24n) | (last ?? 0n) | (BigInt(length) << 8n);
  const flip = BigInt(SECRET.getUint32(0, true) ^ SECRET.getUint32(4, true)) & 0xffffffffn;
  let hash = combined ^ ((flip + seed) & MASK);
  hash = ((hash ^ (hash >> 33n)) * PRIME_2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * PRIME_3) & MASK;
  return hash ^ (hash >> 32n);
}

function short(view: DataView, seed: bigint): bigint {
  const low = seed & 0xffffffffn;
  const mixed = seed ^ (swapped(low, 4) << 32n);
  const first = BigInt(view.getUint32(0, true));
  const last = BigInt(view.getUint32(view.byteLength - 4, true));
  const flip = ((secret(8) ^ secret(16)) - mixed) & MASK;
  let hash = ((last + (first << 32n)) & MASK) ^ flip;
  hash ^= rotated(hash, 49n) ^ rotated(hash, 24n);
  hash = (hash * PRIME_MX2) & MASK;
  hash ^= (hash >> 35n) + BigInt(view.byteLength);
  hash = (hash * PRIME_MX2) & MASK;
  return hash ^ (hash >> 28n);
}

function medium(view: DataView, seed: bigint): bigint {
  const { byteLength: length } = view;
  const low = view.getBigUint64(0, true) ^ (((secret(24) ^ secret(32)) + seed) & MASK);
  const high = view.getBigUint64(length - 8, true) ^ (((secret(40) ^ secret(48)) - seed) & MASK);
  return avalanche((BigInt(length) + swapped(low, 8) + high + folded(low, high)) & MASK);
}

function long(view: DataView, seed: bigint): bigint {
  const { byteLength: length } = view;
  let sum = BigInt(length) * PRIME_1;
  // From the middle to both ends, sixteen bytes each.
  for (let pair = Math.ceil(length / 32) - 1; pair >= 0; pair -= 1) {
    sum += mixed(view, pair * 16, pair * 32, seed);
    sum += mixed(view, length - 16 * (pair + 1), pair * 32 + 16, seed);
  }
  return avalanche(sum & MASK);
}

function mixed(view: DataView, at: number, key: number, seed: bigint): bigint {
  const low = view.getBigUint64(at, true) ^ ((secret(key) + seed) & MASK);
  const high = view.getBigUint64(at + 8, true) ^ ((secret(key + 8) - seed) & MASK);
  return folded(low, high);
}

function secret(at: number): bigint {
  return SECRET.getBigUint64(at, true);
}

function folded(one: bigint, other: bigint): bigint {
  const product = one * other;
  return (product & MASK) ^ (product >> 64n);
}

function avalanche(hash: bigint): bigint {
  const mixed = ((hash ^ (hash >> 37n)) * PRIME_MX1) & MASK;
  return mixed ^ (mixed >> 32n);
}

function rotated(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & MASK;
}

function swapped(value: bigint, bytes: number): bigint {
  let swapped = 0n;
  for (let byte = 0; byte < bytes; byte += 1) swapped = (swapped << 8n) | ((value >> BigInt(8 * byte)) & 0xffn);
  return swapped;
}

function bytesOf(hex: string): DataView {
  const bytes = hex.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? [];
  return new DataView(new Uint8Array(bytes).buffer);
}
