//! A mail server that takes a message, is busy, refuses, or is not there.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;

/// A mail server that answers a message's recipients with this, then the next, and then takes all; and what it took.
async fn mail_server(refusals: Vec<&'static str>) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, took) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut refusals = refusals.into_iter();
        while let Ok((stream, _)) = listener.accept().await {
            tell.send(dialogue(stream, refusals.next()).await).unwrap();
        }
    });
    (port, took)
}

/// What a client says in one connection.
async fn dialogue(stream: tokio::net::TcpStream, refusal: Option<&str>) -> String {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut said, mut is_mail) = (String::new(), false);
    write.write_all(b"220 web1 ESMTP\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        said.push_str(&line);
        said.push('\n');
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "." => "250 queued",
            _ if is_mail => continue,
            "RCPT" => refusal.unwrap_or("250 ok"),
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        is_mail = answer.starts_with("354");
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            break;
        }
    }
    said
}

fn mailing(folder: &Path, port: u16) -> Running {
    let mail_to = ["ops@example.org", "root@localhost"].map(|to| to.parse().unwrap()).into();
    let settings = NotifySettings { mail_to, ..NotifySettings::default() };
    Running::with(folder, settings, RootCertStore::empty(), port)
}

#[tokio::test]
async fn a_mail_goes_to_all_in_one_and_again_where_the_server_was_busy() {
    let folder = folder();
    let (port, mut took) = mail_server(vec!["451 busy"]).await;
    let running = mailing(folder.path(), port);
    running.given_up("store");
    assert!(!timeout(LONG, took.recv()).await.unwrap().unwrap().contains("DATA"));
    let said = timeout(LONG, took.recv()).await.unwrap().unwrap();
    for line in [
        "MAIL FROM:<bellows@web1>",
        "RCPT TO:<ops@example.org>",
        "RCPT TO:<root@localhost>",
        "Subject: [bellows web1] failed_deploy of store began",
        "Episode: failed_deploy-store-1000",
    ] {
        assert!(said.lines().any(|it| it.starts_with(line)), "{line}: {said}");
    }
    running.until(&outcome("mail", "delivered", 1)).await;
}

#[tokio::test]
async fn a_mail_that_the_server_will_never_take_is_not_sent_again_and_no_server_is_no_end() {
    let (one, two) = (folder(), folder());
    let (port, _took) = mail_server(vec!["550 no such user"]).await;
    let running = mailing(one.path(), port);
    running.given_up("store");
    running.until(&outcome("mail", "refused", 1)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let running = mailing(two.path(), closed);
    running.given_up("store");
    running.until(&outcome("mail", "given_up", 1)).await;
}
