//! The listening socket of an upstream, and its connections.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::arrivals::Arrivals;
use crate::echo2;
use crate::http1::Connection;
use crate::http2::{Connection2, Script2};
use crate::script::{Script, Visit};
use crate::tls::Tls;

/// What is done with each request.
pub type Scripts<'a> = dyn Fn(Visit) -> Script + Send + Sync + 'a;

/// How a connection is served: with its number, until it ends.
type Serve = dyn Fn(TcpStream, &Arrivals, usize) + Send + Sync;

/// An upstream. Dropping it closes its port and its connections.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    arrivals: Arrivals,
    is_over: AtomicBool,
    open: Mutex<HashMap<usize, TcpStream>>,
}

impl Upstream {
    /// Speaks HTTP/1.1, and does the same with every request.
    pub fn http1(script: Script) -> Self {
        Self::scripted(move |_| script.clone())
    }

    /// Speaks HTTP/1.1, with a script for each visit. An empty script closes the connection.
    pub fn scripted(scripts: impl Fn(Visit) -> Script + Send + Sync + 'static) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::scripted_on(nowhere, scripts).expect("a free port")
    }

    /// The same at an address, so that an upstream can return to where it was.
    ///
    /// # Errors
    ///
    /// Where the address is taken.
    pub fn scripted_on(
        address: SocketAddr,
        scripts: impl Fn(Visit) -> Script + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::listen(address, move |stream, arrivals, number| {
            if let Ok(socket) = stream.try_clone() {
                Connection::new(Box::new(stream), socket, arrivals, number).serve(&scripts);
            }
        })
    }

    /// Speaks HTTP/2 without TLS, as it should: sends back what it gets, as [`Script::echo`] does. CONNECT is agreed to.
    pub fn http2_echo() -> Self {
        Self::anywhere(echo2::serve)
    }

    /// Speaks HTTP/2 without TLS, with a script for each connection, from 0 on.
    pub fn http2(scripts: impl Fn(usize) -> Script2 + Send + Sync + 'static) -> Self {
        Self::anywhere(move |stream, arrivals, number| {
            if let Ok(socket) = stream.try_clone() {
                let script = scripts(number);
                Connection2::new(Box::new(stream), socket, arrivals, number).serve(&script);
            }
        })
    }

    /// Speaks TLS, and in it HTTP/2 by one script where ALPN chose that, or HTTP/1.1 by the other.
    pub fn tls(tls: &Tls, http1: Script, http2: Script2) -> Self {
        let tls = tls.clone();
        Self::anywhere(move |stream, arrivals, number| {
            let Ok(socket) = stream.try_clone() else { return };
            let Some((wire, is_http2)) = tls.accept(stream) else { return };
            if is_http2 {
                Connection2::new(wire, socket, arrivals, number).serve(&http2);
            } else {
                Connection::new(wire, socket, arrivals, number).serve(&|_| http1.clone());
            }
        })
    }

    fn anywhere(serve: impl Fn(TcpStream, &Arrivals, usize) + Send + Sync + 'static) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::listen(nowhere, serve).expect("a free port")
    }

    /// Accepts connections, each served in a thread of its own.
    pub(crate) fn listen(
        address: SocketAddr,
        serve: impl Fn(TcpStream, &Arrivals, usize) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = {
            let shared = shared.clone();
            let serve: Arc<Serve> = Arc::new(serve);
            thread::spawn(move || accept(&listener, &shared, &serve))
        };
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived so far.
    pub fn arrived(&self) -> &Arrivals {
        &self.shared.arrivals
    }

    /// Closes the connections that are open, and goes on accepting.
    pub fn close_connections(&self) {
        for (_, stream) in self.shared.connections().iter() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Ends, and returns the address, to which another upstream may return.
    pub fn stop(self) -> SocketAddr {
        self.address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
        self.close_connections();
    }
}

impl Shared {
    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<usize, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, serve: &Arc<Serve>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(_) => return,
        };
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        stream.set_nodelay(true).ok();
        let Ok(kept) = stream.try_clone() else { continue };
        let number = shared.arrivals.accept();
        shared.connections().insert(number, kept);
        let (shared, serve) = (shared.clone(), serve.clone());
        thread::spawn(move || {
            serve(stream, &shared.arrivals, number);
            // The last handle: only now the peer sees that the connection is closed.
            shared.connections().remove(&number);
            shared.arrivals.end();
        });
    }
}

/// An address that refuses connections for as long as the socket is kept.
pub fn refusing() -> (SocketAddr, Socket) {
    let socket = bound();
    (socket.local_addr().ok().and_then(|it| it.as_socket()).expect("an address"), socket)
}

/// An address that neither accepts nor refuses for as long as the sockets are kept: its backlog is full.
pub fn silent() -> (SocketAddr, Vec<Socket>) {
    let socket = bound();
    socket.listen(0).expect("a socket that listens");
    let address = socket.local_addr().expect("an address");
    let mut sockets = vec![socket];
    for _ in 0..3 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // The first fills the backlog; where the kernel has room for one more, the next does.
        filler.connect_timeout(&address, Duration::from_millis(50)).ok();
        sockets.push(filler);
    }
    (address.as_socket().expect("an address"), sockets)
}

fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&nowhere.into()).expect("a free port");
    socket
}
