//! What keys of other programs are called here that stand in a table of the main file: what is listened on, HTTPS, and
//! what clients and operators may do.

use super::{Words, find};

const TRUSTED: &str =
    "whose word on the client is believed is `trusted-proxies = [\"10.0.0.0/8\"]` in `[server]`";
const PAIR: &str = "each certificate and its key are a `[[server.tls.certificates]]` with `certificate = \"…\"` and \
                    `key = \"…\"`";
const MADE: &str = "certificates are made by certbot, lego or cert-manager, and named in `[[server.tls.certificates]]`";

/// Words of `[server]`.
const SERVER: &[Words] = &[
    (
        "acceptproxy useproxyprotocol proxyprotocolv2 sendproxy proxy",
        "connections that begin with the address of their client are `proxy-protocol = \"v1-v2\"`",
    ),
    (
        "realip realipheader realiprecursive setrealipfrom forwardedheaders trustedips \
          xffnumtrustedhops useremoteaddress clientipheaders trustproxy trustforwardheader forwardfor \
          forwarded",
        TRUSTED,
    ),
    (
        "health healthz healthcheck healthchecks healthcheckpath monitoruri ping probe livenessprobe \
          readinessprobe",
        "a path that says whether the process serves is `health-path`; the admin listener has /livez and /readyz",
    ),
    (
        "prestop drain draintime draintimeout deregistrationdelay",
        "how long it is served on after SIGTERM is `drain-delay`",
    ),
    (
        "shutdowntimeout shutdowndelay graceful gracefultimeout gracefulshutdowntimeout gracetimeout \
          stoptimeout hardstopafter terminationgraceperiodseconds workershutdowntimeout",
        "how long requests in flight may finish on SIGTERM is `grace-period`",
    ),
    (
        "nbthread threadcount workers workerthreads workerprocesses gomaxprocs",
        "worker threads are `threads`",
    ),
    (
        "http2 h2 h2c http3 quic protocol protocols alpn",
        "every address speaks HTTP/1.1 and HTTP/2, and none HTTP/3",
    ),
    ("certificate certificates cert certfile key keyfile sslcertificate sslcertificatekey", PAIR),
    ("acme letsencrypt email automatichttps autohttps certresolver", MADE),
    (
        "sslprotocols minversion mintlsversion tlsversion",
        "the oldest version of TLS is `minimum = \"1.2\"` in `[server.tls]`",
    ),
];

/// Words of `[server.limits]`, which many write in `[server]`.
const LIMITS: &[Words] = &[
    (
        "maxconn maxconns maxconnections workerconnections connectionlimit limitconn",
        "connections that may be open at once are `connections` in `[server.limits]`",
    ),
    (
        "maxstreams maxconcurrentstreams http2maxconcurrentstreams concurrentstreams",
        "requests in flight of one HTTP/2 connection are `streams` in `[server.limits]`",
    ),
    (
        "maxresets rapidreset resetrate rststream resetstreams",
        "requests that an HTTP/2 client may take back are `resets` in `[server.limits]`",
    ),
    (
        "clientheaderbuffersize largeclientheaderbuffers headersize maxheader maxheadersize \
          maxheaderbytes maxrequestheaderskb maxrequestheadersize",
        "the largest head of a request is `head` in `[server.limits]`",
    ),
    (
        "headercount maxheaders maxheadercount maxheaderscount tunehttpmaxhdr",
        "how many header fields a request may have is `headers` in `[server.limits]`",
    ),
    (
        "clientheadertimeout headtimeout headertimeout headerreadtimeout readheadertimeout \
          requestheaderstimeout timeouthttprequest",
        "how long a head may take is `head-time` in `[server.limits]`",
    ),
    (
        "keepalive keepalivetimeout httpkeepalive idletimeout connectionidletimeout streamidletimeout \
          timeoutclient timeouthttpkeepalive",
        "how long a connection is kept without a request is `idle-time` in `[server.limits]`",
    ),
    (
        "minrate minimumrate mindatarate bodytimeout clientbodytimeout readtimeout sendtimeout \
          writetimeout",
        "how slowly a client may send or take a body is `client-rate` in `[server.limits]`",
    ),
    (
        "timeout timeouts requesttimeout responsetimeout",
        "clients are bounded by `head-time`, `idle-time` and `client-rate` in `[server.limits]`, versions by `wall-time` \
         in `[versions.limits]`",
    ),
];

/// Words of `[server.tls]`.
const TLS: &[Words] = &[
    (
        "certificate cert certs certfile certificatefile crt pem fullchain key keyfile keypair \
          privatekey privkey secretname sslcertificate sslcertificatekey",
        PAIR,
    ),
    (
        "min minversion tlsversion version sslprotocols protocols sslminver",
        "the oldest version of TLS is `minimum = \"1.2\"`",
    ),
    (
        "alpn ciphers ciphersuites sslciphers curves curvepreferences ecdhcurve dhparam max maximum \
          maxversion preferserverciphers sslpreferserverciphers",
        "ciphers, curves and ALPN are not chosen here, and `minimum` is the one bound of the version",
    ),
    ("acme letsencrypt email certresolver automatichttps autohttps", MADE),
    (
        "ca cafile clientauth clientca mtls sslverifyclient verifyclient",
        "clients are not asked for certificates; those of targets are checked as `[versions.upstream.tls]` says",
    ),
    (
        "forcehttps httpredirect httpsredirect redirecttohttps sslredirect",
        "cleartext requests are sent to HTTPS by `redirect = true`",
    ),
    (
        "sessiontickets sslsessiontickets sslsessionticketkey sessionticketkey ticketkey",
        "the keys of session tickets are in the file that `ticket-keys` names",
    ),
    (
        "stricttransportsecurity maxage hstsmaxage includesubdomains",
        "how long browsers are told to use HTTPS is `hsts = \"365d\"`",
    ),
    (
        "port ports bind address listenaddress listenport",
        "addresses for HTTPS are `listen = [\"127.0.0.1:8443\"]`",
    ),
    ("enabled enable disabled", "HTTPS is served where this table is: remove the table for none"),
    (
        "sni snistrict servername servernames hosts names domains domain",
        "a client gets the certificate with the name that it asks for, and else the first one",
    ),
];

/// Words of `[[server.tls.certificates]]`.
const CERTIFICATE: &[Words] = &[
    (
        "cert certs certfile certpath certificates certificatechain certificatefile certificatepath \
          chain crt fullchain pem sslcertificate tlscert",
        "did you mean `certificate`?",
    ),
    (
        "certificatekey certkey keyfile keypath privatekey privatekeyfile privkey sslcertificatekey \
          sslkey tlskey",
        "did you mean `key`?",
    ),
    (
        "name names domain domains hosts servername sni default",
        "a client gets the certificate with the name that it asks for, and else the first one",
    ),
    (
        "ca intermediate intermediates issuer chainfile",
        "the file of `certificate` has the server's certificate first, and then those of its issuers",
    ),
    (
        "secret secretname",
        "mount the secret as a directory, and name its files in `certificate` and `key`",
    ),
    (
        "password passphrase keypassword",
        "a key has no passphrase here: `openssl pkey -in KEY -out KEY` takes it off",
    ),
];

/// Words of `[admin]`.
const ADMIN: &[Words] = &[
    (
        "apikey auth basicauth password secret token tokens user username users",
        "tokens are in a file of their own: `token-file = \"…\"`",
    ),
    (
        "allowedhosts allowedorigins cors domain domains host hostname origins",
        "host names under which the listener answers are `hosts = [\"…\"]`",
    ),
    (
        "cert certificate https ssl tls",
        "the admin listener speaks HTTP without TLS: reach it through `ssh -L`, or put a proxy with TLS in front of it",
    ),
    ("enabled enable disabled", "there is always an admin listener, where `listen` says"),
    (
        "api console dashboard debug health metrics ping pprof prometheus",
        "metrics, API, console and probes are all at the address of `listen`",
    ),
    (
        "addr address bind port",
        "the address of the admin listener is `listen = \"127.0.0.1:9090\"`",
    ),
];

/// Words at the top of the file.
const MAIN: &[Words] = &[
    (
        "api dashboard metrics ping pprof prometheus stats",
        "metrics, API, console and probes are at the address of `listen` in `[admin]`",
    ),
    (
        "events frontend frontends global main",
        "what is listened on, and what clients may take, is in `[server]` and `[server.limits]`",
    ),
    ("acme certificatesresolvers letsencrypt email", MADE),
    (
        "service services",
        "each service has a file of its own, which `services` in `[[environments]]` finds",
    ),
];

/// What such a key is called here; `plain` is in lower case and without `-` and `_`.
pub fn called(allowed: &[&str], plain: &str) -> Option<&'static str> {
    let has = |key| allowed.contains(&key);
    match allowed {
        ["certificate", "key"] => find(CERTIFICATE, plain),
        ["limits"] => Some("only limits have defaults: `[defaults.limits]`"),
        _ if has("health-path") => find(SERVER, plain).or_else(|| find(LIMITS, plain)),
        _ if has("client-rate") => find(LIMITS, plain),
        _ if has("ticket-keys") => find(TLS, plain),
        _ if has("token-file") => find(ADMIN, plain),
        _ if has("environments") => find(MAIN, plain),
        _ => None,
    }
}

#[cfg(test)]
pub const ALL: [&[Words]; 6] = [SERVER, LIMITS, TLS, CERTIFICATE, ADMIN, MAIN];
