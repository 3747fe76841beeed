//! A target in a process of its own, for counting the instructions of the engine: `answer` prints its port and answers every
//! request on it with two bytes until it is killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn answer(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    // The requests of one user come one after the other, and each is smaller than the buffer.
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        thread::spawn(move || answer(stream));
    }
    Ok(())
}
