//! A small object store in plain tokio that does wrong on request. Its HTTP is its own, so that it
//! shares no code and no mistakes with the generator's client.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Answer as an object store must.
    Good,
    /// Answer as one must, but not before that moment.
    GoodAt(Instant),
    /// Answer this status.
    Status(u16),
    /// Answer a body with one wrong byte.
    WrongByte,
    /// Answer the body before the present one.
    Outdated,
    /// Answer 404.
    NotFound,
    /// Close the connection without an answer.
    Reset,
    /// Never answer.
    Silence,
    /// Answer well, and close the connection without announcing it.
    Close,
}

/// A request as the rule sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `GET`, `PUT`, `DELETE`.
    pub(crate) method: String,
    /// How many of that method there were, this one included.
    pub(crate) count: u64,
}

type Rule = dyn Fn(&Asked) -> Conduct + Send + Sync;

/// The store and what it has seen.
pub(crate) struct Store {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    rule: Box<Rule>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    objects: HashMap<String, Vec<Vec<u8>>>,
    counts: HashMap<String, u64>,
}

impl Store {
    /// A store on a free port of loopback, on a thread of its own.
    pub(crate) fn start(rule: impl Fn(&Asked) -> Conduct + Send + Sync + 'static) -> Self {
        let state = Arc::new(State { rule: Box::new(rule), seen: Mutex::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(accept(listener, shared));
        });
        Self { address, state }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Objects in it.
    pub(crate) fn objects(&self) -> usize {
        self.state.seen.lock().unwrap().objects.len()
    }

    /// Requests of a method that it has seen.
    pub(crate) fn count(&self, method: &str) -> u64 {
        self.state.seen.lock().unwrap().counts.get(method).copied().unwrap_or(0)
    }
}

async fn accept(listener: std::net::TcpListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move { serve(stream, &state).await });
    }
}

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

async fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let conduct = state.conduct(&request.method);
        match conduct {
            Conduct::Reset => return Ok(()),
            Conduct::Silence => std::future::pending::<()>().await,
            Conduct::GoodAt(moment) => tokio::time::sleep_until(moment.into()).await,
            _ => {}
        }
        let (status, body) = state.answer(&request, conduct);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nx-bellows-server: s3\r\n\r\n",
            body.len()
        );
        stream.get_mut().write_all(&[head.as_bytes(), &body].concat()).await?;
        if conduct == Conduct::Close {
            return Ok(());
        }
    }
    Ok(())
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let (mut first, mut length) = (String::new(), 0);
    if stream.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(Some(Request { method, path, body }))
}

impl State {
    fn conduct(&self, method: &str) -> Conduct {
        let mut seen = self.seen.lock().unwrap();
        let count = seen.counts.entry(method.to_owned()).or_default();
        *count += 1;
        let asked = Asked { method: method.to_owned(), count: *count };
        (self.rule)(&asked)
    }

    fn answer(&self, request: &Request, conduct: Conduct) -> (u16, Vec<u8>) {
        match conduct {
            Conduct::Status(status) => return (status, Vec::new()),
            Conduct::NotFound => return (404, Vec::new()),
            _ => {}
        }
        let objects = &mut self.seen.lock().unwrap().objects;
        match request.method.as_str() {
            "PUT" => {
                let versions = objects.entry(request.path.clone()).or_default();
                versions.push(request.body.clone());
                (if versions.len() == 1 { 201 } else { 204 }, Vec::new())
            }
            "DELETE" => (objects.remove(&request.path).map_or(404, |_| 204), Vec::new()),
            _ => match objects.get(&request.path) {
                None => (404, Vec::new()),
                Some(versions) => (200, body(versions, conduct)),
            },
        }
    }
}

fn body(versions: &[Vec<u8>], conduct: Conduct) -> Vec<u8> {
    let back = if conduct == Conduct::Outdated { 2 } else { 1 };
    let mut body = versions[versions.len().saturating_sub(back)].clone();
    if conduct == Conduct::WrongByte {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    body
}

/// A moment in the future.
pub(crate) fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}
