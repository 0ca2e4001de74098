//! What `table` compares with: a Pingora proxy, with its own listener and one thread. Its `request_filter` answers with
//! the greeter's text, or it sends every request on to a backend.
//!
//! `bare_pingora PORT [ADDRESS-OF-THE-BACKEND]`

use std::error::Error;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use mimalloc::MiMalloc;
use pingora::http::ResponseHeader;
use pingora::prelude::{ErrorType, HttpPeer, Result};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// The same allocator as ours, so that the allocator makes no difference.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const BODY: &str = "Hello from v1!\n";

struct Bare {
    backend: Option<SocketAddr>,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, (): &mut ()) -> Result<bool> {
        if self.backend.is_some() {
            return Ok(false);
        }
        let mut head = ResponseHeader::build(200, Some(2))?;
        head.insert_header("content-type", "text/plain")?;
        head.insert_header("content-length", BODY.len().to_string())?;
        session.write_response_header(Box::new(head), false).await?;
        session.write_response_body(Some(Bytes::from_static(BODY.as_bytes())), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let backend = self.backend.ok_or_else(|| pingora::Error::new(ErrorType::InternalError))?;
        Ok(Box::new(HttpPeer::new(backend, false, String::new())))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().ok_or("usage: bare_pingora PORT [ADDRESS]")?.parse()?;
    let backend = arguments.next().map(|address| address.parse()).transpose()?;
    let conf = ServerConf { threads: 1, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    let mut service = http_proxy_service(&server.configuration, Bare { backend });
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever()
}
