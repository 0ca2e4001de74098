//! Which system calls wait for an answer: a program for the kernel's filter.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, c_long,
    sock_filter,
};

use crate::Call;

/// Delegates a call to whoever listens (`SECCOMP_RET_USER_NOTIF`).
const ASK: u32 = 0x7fc0_0000;

/// The numbers that each kind of call has on this machine.
const CALLS: [(c_long, Call); 17] = [
    (libc::SYS_accept4, Call::Accept),
    (libc::SYS_accept, Call::Accept),
    (libc::SYS_openat, Call::Open),
    (libc::SYS_openat2, Call::Open),
    (libc::SYS_pwrite64, Call::Write),
    (libc::SYS_pwritev, Call::Write),
    (libc::SYS_ftruncate, Call::Write),
    (libc::SYS_fallocate, Call::Write),
    (libc::SYS_fsync, Call::Sync),
    (libc::SYS_fdatasync, Call::Sync),
    (libc::SYS_renameat, Call::Rename),
    (libc::SYS_renameat2, Call::Rename),
    (libc::SYS_socket, Call::Socket),
    (libc::SYS_connect, Call::Connect),
    (libc::SYS_clone, Call::Clone),
    (libc::SYS_clone3, Call::Clone),
    (libc::SYS_mknodat, Call::Open),
];

/// The kind of a call.
pub fn call(number: c_long) -> Option<Call> {
    CALLS.iter().find(|(known, _)| *known == number).map(|(_, call)| *call)
}

/// Asks about the calls above, and allows all others.
pub fn program() -> Vec<sock_filter> {
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    // The number of the call is the first field of what the filter sees.
    let mut program = vec![statement(BPF_LD | BPF_W | BPF_ABS, 0)];
    for (number, _) in CALLS {
        let number = u32::try_from(number).unwrap();
        program.push(sock_filter {
            code: (BPF_JMP | BPF_JEQ | BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: number,
        });
        program.push(statement(BPF_RET | BPF_K, ASK));
    }
    program.push(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    program
}
