//! Against a real server, the `h2` crate's, over a real socket: every answer whole and the right one.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2client::{Body, Connection, Events, Failure, Head, Request, Settings, Stream, Template, Value};

/// Answers each request by its path on connections that come to the address, until the test process ends.
fn serve(streams: u32, window: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("a socket");
                let mut builder = server::Builder::new();
                builder
                    .max_concurrent_streams(streams)
                    .initial_window_size(window)
                    .initial_connection_window_size(window);
                let local = async move {
                    let mut connection = builder.handshake::<_, Bytes>(socket).await.expect("a handshake");
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(async move { answer(request, respond).await.expect("an answer") });
                    }
                };
                tokio::spawn(local);
            }
        });
    });
    address
}

/// `/bytes/N`: N bytes; `/echo`: the request's body; `/reset`: a reset; `/trailers`: some.
async fn answer(request: http::Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let (parts, mut body) = request.into_parts();
    let path = parts.uri.path();
    let head =
        http::Response::builder().header("server", "h2").header("x-path", path).header("x-long", "long ".repeat(30));
    let head = head.body(()).expect("a head");
    if path == "/reset" {
        respond.send_reset(h2::Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let mut content = Vec::new();
    if path == "/echo" {
        while let Some(piece) = body.data().await {
            let piece = piece?;
            content.extend_from_slice(&piece);
            body.flow_control().release_capacity(piece.len())?;
        }
    } else if let Some(count) = path.strip_prefix("/bytes/") {
        content = vec![b'x'; count.parse().expect("a number")];
    }
    let empty = content.is_empty() && path != "/trailers";
    let mut sender = respond.send_response(head, empty)?;
    if path == "/trailers" {
        sender.send_data(Bytes::from_static(b"body"), false)?;
        sender.send_trailers(
            [("checksum".parse().expect("a name"), "1".parse().expect("a value"))].into_iter().collect(),
        )?;
    } else if !empty {
        sender.send_data(content.into(), true)?;
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Answer {
    status: u16,
    path: String,
    bytes: usize,
    sum: u64,
    trailers: usize,
    failure: Option<Failure>,
    ended: bool,
}

#[derive(Default)]
struct Answers(HashMap<u64, Answer>);

impl Answers {
    fn of(&mut self, stream: Stream) -> &mut Answer {
        self.0.entry(stream.token).or_default()
    }
}

impl Events for Answers {
    fn head(&mut self, stream: Stream, head: &Head<'_>) {
        let path = head.fields.iter().find(|(name, _)| *name == b"x-path").map(|(_, value)| value.to_vec());
        let answer = self.of(stream);
        answer.status = head.status;
        answer.path = String::from_utf8(path.unwrap_or_default()).expect("text");
    }
    fn data(&mut self, stream: Stream, piece: &[u8]) {
        let answer = self.of(stream);
        answer.bytes += piece.len();
        answer.sum += piece.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    fn trailers(&mut self, stream: Stream, fields: h2client::Fields<'_>) {
        self.of(stream).trailers = fields.iter().len();
    }
    fn end(&mut self, stream: Stream) {
        self.of(stream).ended = true;
    }
    fn failed(&mut self, stream: Stream, failure: Failure) {
        self.of(stream).failure = Some(failure);
    }
}

/// Sends requests for `paths`, as many at a time as may be, and returns the answers by the place of each.
fn run(
    address: SocketAddr,
    settings: Settings,
    paths: &[String],
    body: &Arc<[u8]>,
) -> Result<HashMap<u64, Answer>, Box<dyn Error>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let get = Template::new("GET", "http", "localhost", Value::Variable);
    let post = Template::new("POST", "http", "localhost", "/echo");
    let mut connection = Connection::new(settings, [get, post].into());
    let mut answers = Answers::default();
    let mut buffer = vec![0; 20_000];
    let mut next = 0;
    while answers.0.values().filter(|answer| answer.ended || answer.failure.is_some()).count() < paths.len() {
        while next < paths.len() && connection.available() > 0 {
            let path = &paths[next];
            let echo = path == "/echo";
            let body = if echo { Body::Shared(body) } else { Body::None };
            let request = Request { body, want_headers: true, ..Request::new(next as u64) };
            connection
                .send_request(usize::from(echo), request, |_, output| output.extend_from_slice(path.as_bytes()))?;
            next += 1;
        }
        while !connection.outgoing().is_empty() {
            let count = socket.write(connection.outgoing())?;
            connection.consume(count);
        }
        let count = socket.read(&mut buffer)?;
        assert!(count > 0, "closed");
        connection.receive(&buffer[..count], &mut answers)?;
    }
    assert_eq!(connection.in_flight(), 0);
    Ok(answers.0)
}

#[test]
fn thousands_of_answers_of_all_sizes_are_whole() -> Result<(), Box<dyn Error>> {
    let address = serve(10, 65_535);
    let paths: Vec<String> = (0..3000).map(|nth| format!("/bytes/{}", nth * 7919 % 40_000 * (nth % 3))).collect();
    for header_table_size in [4096, 0, 200, 65_536] {
        let settings = Settings { header_table_size, window: 70_000, ..Settings::default() };
        let answers = run(address, settings, &paths[..500 + header_table_size as usize % 2500], &[].into())?;
        for (nth, answer) in answers {
            let path = &paths[usize::try_from(nth)?];
            let bytes: usize = path["/bytes/".len()..].parse()?;
            let sum = bytes as u64 * u64::from(b'x');
            assert_eq!(
                answer,
                Answer { status: 200, path: path.clone(), bytes, sum, ended: true, ..Answer::default() }
            );
        }
    }
    Ok(())
}

#[test]
fn bodies_come_back_through_small_windows() -> Result<(), Box<dyn Error>> {
    let address = serve(5, 70_000);
    let body: Arc<[u8]> = (0..300_000u32).map(|nth| nth.to_le_bytes()[0]).collect();
    let sum = body.iter().map(|byte| u64::from(*byte)).sum();
    let answers = run(address, Settings::default(), &vec!["/echo".to_owned(); 20], &body)?;
    for answer in answers.values() {
        assert_eq!((answer.status, answer.bytes, answer.sum), (200, body.len(), sum));
    }
    Ok(())
}

#[test]
fn trailers_and_resets_are_told_apart() -> Result<(), Box<dyn Error>> {
    let address = serve(100, 65_535);
    let paths = ["/trailers", "/reset", "/empty"].map(str::to_owned);
    let answers = run(address, Settings::default(), &paths, &[].into())?;
    assert_eq!((answers[&0].trailers, answers[&0].bytes, answers[&0].ended), (1, 4, true));
    assert_eq!(
        answers[&1].failure.map(|failure| failure.to_string()).as_deref(),
        Some("stream reset by the target: INTERNAL_ERROR")
    );
    assert_eq!((answers[&2].bytes, answers[&2].ended), (0, true));
    Ok(())
}
