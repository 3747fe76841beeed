//! A response on a stream, as far as it was received.

use encoding_rs::Encoding;

use crate::response::Coding;
use crate::transport::events::Raw;

/// A response on a stream, as far as it was received. Reused for each request of its user.
#[derive(Debug, Default)]
pub(in crate::transport) struct StreamResponse {
    /// The stream's number; 0 while the request has none.
    pub(super) stream: u32,
    pub(super) status: u16,
    pub(super) begun: bool,
    pub(super) too_large: bool,
    pub(super) received: u64,
    pub(super) body_bytes: u64,
    /// The head in HTTP/1.1 notation, for samples and redirects.
    pub(super) head: Vec<u8>,
    pub(super) has_location: bool,
    pub(super) coding: Option<Coding>,
    pub(super) charset: Option<&'static Encoding>,
    /// The beginning of the body.
    pub(super) body: Vec<u8>,
}

impl StreamResponse {
    pub(super) fn start(&mut self, stream: u32) {
        self.stream = stream;
        self.status = 0;
        self.begun = false;
        self.too_large = false;
        self.received = 0;
        self.body_bytes = 0;
        self.head.clear();
        self.has_location = false;
        self.coding = None;
        self.charset = None;
        self.body.clear();
    }

    /// True if a request of its user has a stream.
    pub(in crate::transport) fn has_stream(&self) -> bool {
        self.stream != 0
    }

    pub(super) fn raw(&self) -> Raw<'_> {
        let coding = self.coding.unwrap_or(Coding::Identity);
        Raw::Two { head: &self.head, body: &self.body, coding, charset: self.charset }
    }
}
