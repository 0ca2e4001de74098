//! What a process remembers of its users, for the process that takes over: their pins. It passes in a file in memory,
//! which neither process has to wait for, and which is gone when both are.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::reload::service_name;
use crate::routing::{KnownPin, Pins};
use crate::versions::{ServiceEntry, Snapshot};

/// The form of the file: for each service its name, its pins, and a mark for their end. A process of another release that
/// has another form reads nothing.
pub(super) const FORMAT: u32 = 1;

/// What follows, in the file.
const SERVICE: u8 = 1;
const PIN: u8 = 2;
const END: u8 = 3;

/// The longest name of a service with its environment.
const NAME_MAX: usize = 1 << 10;

/// Writes the pins of all services.
pub(super) fn write(snapshot: &Snapshot) -> io::Result<File> {
    let file = File::from(memfd_create("watershed pins", MemfdFlags::CLOEXEC)?);
    let (mut out, now) = (BufWriter::new(file), Instant::now());
    for (service, pins) in pinned(snapshot) {
        let name = service_name(service);
        let length = u16::try_from(name.len()).map_err(io::Error::other)?;
        out.write_all(&[SERVICE])?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(name.as_bytes())?;
        for KnownPin { key, version, age, is_new } in pins.known(now) {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            out.write_all(&[PIN, u8::from(is_new)])?;
            for number in [key, version, age] {
                out.write_all(&number.to_le_bytes())?;
            }
        }
    }
    out.write_all(&[END])?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

/// Reads pins into the services that still pin. Returns how many were read.
pub(super) fn read(mut file: File, snapshot: &Snapshot) -> io::Result<usize> {
    // Both processes have one place in it.
    file.rewind()?;
    let (mut from, now) = (BufReader::new(file), Instant::now());
    let (mut into, mut count) = (None, 0);
    loop {
        match byte(&mut from)? {
            END => return Ok(count),
            SERVICE => {
                let name = name(&mut from)?;
                into = pinned(snapshot).find(|(service, _)| service_name(service) == name);
            }
            PIN => {
                let is_new = byte(&mut from)? != 0;
                let (key, version) = (number(&mut from)?, number(&mut from)?);
                let age = Duration::from_millis(number(&mut from)?);
                if let Some((_, pins)) = &into {
                    pins.learn(KnownPin { key, version, age, is_new }, now);
                    count += 1;
                }
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        }
    }
}

/// The services that pin users.
fn pinned(snapshot: &Snapshot) -> impl Iterator<Item = (&ServiceEntry, &Pins)> {
    let services = snapshot.services.iter();
    services.filter_map(|service| Some((&**service, service.decider.pins()?)))
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(u8::from_le_bytes(byte))
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn name(from: &mut impl Read) -> io::Result<String> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let length = usize::from(u16::from_le_bytes(length));
    if length > NAME_MAX {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length];
    from.read_exact(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}
