//! Components made of the greeter: distinct ones, and one that takes long to compile. Both are the
//! greeter with one more section, which it does not use. [Component binary format], [core binary
//! format].
//!
//! [Component binary format]: https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
//! [core binary format]: https://webassembly.github.io/spec/core/binary/

const CUSTOM_SECTION: u8 = 0;
const CORE_MODULE_SECTION: u8 = 1;
const TYPE_SECTION: u8 = 1;
const FUNCTION_SECTION: u8 = 3;
const CODE_SECTION: u8 = 10;

const I64: u8 = 0x7e;
const EMPTY_BLOCK: u8 = 0x40;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const BRANCH_IF: u8 = 0x0d;
const CALL: u8 = 0x10;
const LOCAL_GET: u8 = 0x20;
const LOCAL_SET: u8 = 0x21;
const I64_CONST: u8 = 0x42;
const I64_EQZ: u8 = 0x50;
const I64_LT_S: u8 = 0x53;
/// `i64.add`, the first of the operators that never trap …
const I64_ADD: u8 = 0x7c;
/// … `sub` and `mul` after it, and `i64.and` the first of those that go on to `rotr`.
const I64_AND: u8 = 0x83;

/// Two parameters and four more.
const LOCALS: u64 = 6;
const STATEMENTS: usize = 128;
/// About the size of a function with this many statements.
const FUNCTION_BYTES: usize = 2_000;

/// The component with a custom section of its own, and so with another digest.
pub fn distinct(component: &[u8], number: usize) -> Vec<u8> {
    let name = b"bench";
    let contents = [&[5], &name[..], number.to_string().as_bytes()].concat();
    [component, &section(CUSTOM_SECTION, &contents)].concat()
}

/// The component with a core module of about `size` bytes, which is compiled and never instantiated.
/// Another `seed` makes another module.
pub fn heavy(component: &[u8], size: usize, seed: u64) -> Vec<u8> {
    let functions = (size / FUNCTION_BYTES).max(1) as u64;
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let bodies: Vec<u8> = (0..functions).flat_map(|_| body(&mut random, functions)).collect();
    let indexes = vec![0; usize::try_from(functions).unwrap_or_default()];
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(TYPE_SECTION, &[1, 0x60, 2, I64, I64, 1, I64]),
        section(FUNCTION_SECTION, &[leb(functions), indexes].concat()),
        section(CODE_SECTION, &[leb(functions), bodies].concat()),
    ];
    [component, &section(CORE_MODULE_SECTION, &module.concat())].concat()
}

fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    [vec![id], leb(contents.len() as u64), contents.to_vec()].concat()
}

/// A function `(i64, i64) -> i64`, preceded by its length.
fn body(random: &mut Random, functions: u64) -> Vec<u8> {
    let mut code = vec![1, 4, I64];
    for _ in 0..STATEMENTS {
        match random.below(16) {
            0 => {
                code.extend([LOCAL_GET, random.local(), I64_EQZ, IF, EMPTY_BLOCK]);
                assignment(&mut code, random);
                code.push(END);
            }
            1 => {
                code.extend([LOOP, EMPTY_BLOCK]);
                assignment(&mut code, random);
                code.extend([LOCAL_GET, random.local(), LOCAL_GET, random.local()]);
                code.extend([I64_LT_S, BRANCH_IF, 0, END]);
            }
            2 => {
                code.extend([LOCAL_GET, random.local(), LOCAL_GET, random.local(), CALL]);
                code.extend(leb(random.below(functions)));
                code.extend([LOCAL_SET, random.local()]);
            }
            _ => assignment(&mut code, random),
        }
    }
    code.extend([LOCAL_GET, random.local(), END]);
    [leb(code.len() as u64), code].concat()
}

/// `a = (b op constant) op c`.
fn assignment(code: &mut Vec<u8>, random: &mut Random) {
    code.extend([LOCAL_GET, random.local(), I64_CONST]);
    // Up to 48 bits. The highest of them may count as a sign; a negative constant is as good.
    code.extend(leb(random.below(1 << 48)));
    code.extend([random.operator(), LOCAL_GET, random.local(), random.operator()]);
    code.extend([LOCAL_SET, random.local()]);
}

/// An unsigned number, seven bits a byte, the lowest first.
fn leb(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Marsaglia's xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn byte_below(&mut self, bound: u64) -> u8 {
        self.below(bound).to_le_bytes()[0]
    }

    fn local(&mut self) -> u8 {
        self.byte_below(LOCALS)
    }

    fn operator(&mut self) -> u8 {
        match self.byte_below(11) {
            first @ 0..3 => I64_ADD + first,
            later => I64_AND + later - 3,
        }
    }
}
