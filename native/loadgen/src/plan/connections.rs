//! Destinations of connections, and connection settings.

use std::net::IpAddr;

use serde::Deserialize;

use super::TargetRules;

/// The two schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port that is omitted in URLs.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A destination of connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Origin {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Dial this host instead; empty for `host`.
    #[serde(default)]
    pub connect_host: String,
    /// Dial this port instead; 0 for `port`.
    #[serde(default)]
    pub connect_port: u16,
    /// Addresses to dial, in turn.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Why there are no addresses.
    #[serde(default)]
    pub resolve_error: String,
}

impl Origin {
    /// The host to dial.
    #[must_use]
    pub fn dial_host(&self) -> &str {
        if self.connect_host.is_empty() { &self.host } else { &self.connect_host }
    }

    /// The port to dial.
    #[must_use]
    pub fn dial_port(&self) -> u16 {
        if self.connect_port == 0 { self.port } else { self.connect_port }
    }

    /// The host as in a URL, IPv6 in brackets.
    #[must_use]
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Host and, unless it is the scheme's default, port.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.url_host()
        } else {
            format!("{}:{}", self.url_host(), self.port)
        }
    }
}

/// TLS settings for every https origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// Certificates are not checked.
    pub insecure: bool,
    /// Trusted in addition to the system's roots.
    pub ca_pem: String,
    /// The client's certificate.
    pub certificate_pem: String,
    /// The secret slot of the client's key.
    pub key_slot: String,
    /// SNI and verified name instead of the host.
    pub server_name: String,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Proxy {
    /// Its address.
    pub origin: Origin,
    /// The secret slot of Proxy-Authorization; empty for none.
    pub authorization_slot: String,
}

/// HTTP version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2.
    #[serde(rename = "2")]
    Two,
    /// The server's preference.
    #[serde(rename = "auto")]
    Auto,
}

/// Settings of connections and responses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// For https origins.
    pub tls: Tls,
    /// None = direct connections.
    pub proxy: Option<Proxy>,
    /// Most redirects to follow per request.
    pub redirects: u32,
    /// Limit of head and body together.
    pub max_response_bytes: Option<u64>,
    /// False: one connection per request.
    pub keep_alive: bool,
    /// HTTP version.
    pub http_version: HttpVersion,
    /// HTTP/2 only.
    pub streams_per_connection: u32,
    /// Interval of re-resolution.
    pub resolve_every_ns: Option<u64>,
    /// Local addresses to bind to, in turn.
    pub source_addresses: Vec<IpAddr>,
    /// Rules for targets; None = all allowed. The plan's own addresses were checked before.
    pub targets: Option<TargetRules>,
}

impl Default for Connections {
    fn default() -> Self {
        Connections {
            tls: Tls::default(),
            proxy: None,
            redirects: 0,
            max_response_bytes: None,
            keep_alive: true,
            http_version: HttpVersion::One,
            streams_per_connection: 1,
            resolve_every_ns: None,
            source_addresses: Vec::new(),
            targets: None,
        }
    }
}
