//! A broker inside this program, without a port, and two clients of it that speak the NATS protocol over memory.
//!
//! `cargo run --example embedded`
#![allow(clippy::print_stdout, reason = "shows what happens")]

use std::error::Error;

use dunlin::{Builder, PipeStream, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("received: {}", greet().await?);
    Ok(())
}

/// Starts a broker, sends a message through it from one client to another, and stops it.
async fn greet() -> Result<String, Box<dyn Error>> {
    let server = Builder::default().without_client_port().shards(1).start().await?;

    let mut subscriber = log_in(&server).await?;
    subscriber.write_all(b"SUB greet.* 1\r\nPING\r\n").await?;
    assert_eq!(line(&mut subscriber).await?, "PONG");

    let mut publisher = log_in(&server).await?;
    publisher.write_all(b"PUB greet.joe 5\r\nhello\r\n").await?;

    assert_eq!(line(&mut subscriber).await?, "MSG greet.joe 1 5");
    let mut payload = [0; 5];
    subscriber.read_exact(&mut payload).await?;

    server.stop().await;
    Ok(String::from_utf8_lossy(&payload).into_owned())
}

/// Connects, and waits until the broker answers.
async fn log_in(server: &Server) -> Result<BufReader<PipeStream>, Box<dyn Error>> {
    let mut client = BufReader::new(server.connect_in_process()?);
    assert!(line(&mut client).await?.starts_with("INFO {"));
    client
        .write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n")
        .await?;
    assert_eq!(line(&mut client).await?, "PONG");
    Ok(client)
}

/// The next line, without its end.
async fn line(client: &mut BufReader<PipeStream>) -> Result<String, Box<dyn Error>> {
    let mut line = String::new();
    client.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_example_works() {
        assert_eq!(super::greet().await.unwrap(), "hello");
    }
}
