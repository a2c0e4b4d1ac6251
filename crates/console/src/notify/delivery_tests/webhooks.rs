//! Webhooks that answer late, wrongly, elsewhere, for ever, or not at all.

use super::*;

#[tokio::test]
async fn a_beginning_and_its_end_are_posted_with_their_keys() {
    let folder = folder();
    let mut server = Server::start(|_| Answer::Status(204)).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    let asked = server.next().await;
    assert_eq!(asked.path, "/SECRET");
    let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), concat!("bellows/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("idempotency-key"), "failed_deploy-store-1000-began");
    insta::assert_snapshot!(asked.body, @r#"{"at_ms":1000,"episode":"failed_deploy-store-1000","format":1,"host":"web1","kind":"failed_deploy","service":"store","state":"began","text":"version 00000002 of store was given up: see `bellows events store`, then deploy another one or go back."}"#);
    running.until("bellows_episodes{service=\"store\",kind=\"failed_deploy\"} 1").await;
    running.serves("store");
    let ended = server.next().await;
    assert_eq!(ended.headers["idempotency-key"], "failed_deploy-store-1000-ended");
    assert_eq!(
        (&ended.body["state"], &ended.body["episode"]),
        (&"ended".into(), &asked.body["episode"])
    );
    running.until(&outcome("webhook_1", "delivered", 2)).await;
    assert!(!running.metrics().contains("bellows_episodes{"), "{}", running.metrics());
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_key_and_what_comes_later_waits() {
    let folder = folder();
    let number = std::sync::atomic::AtomicUsize::new(0);
    let answers = move |_: &Asked| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        [Answer::Status(500), Answer::Never, Answer::Status(429)]
            .get(number)
            .copied()
            .unwrap_or(Answer::Status(200))
    };
    let mut server = Server::start(answers).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.given_up("shop");
    assert_eq!(server.services(5).await, ["store", "store", "store", "store", "shop"]);
    running.until(&outcome("webhook_1", "delivered", 2)).await;
    running.until("bellows_notify_waiting{receiver=\"webhook_1\"} 0").await;
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_and_the_next_message_goes_on() {
    let folder = folder();
    let answers = |asked: &Asked| {
        if asked.body["service"] == "store" { Answer::Elsewhere } else { Answer::Status(200) }
    };
    let mut server = Server::start(answers).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.given_up("shop");
    let (first, second) = (server.next().await, server.next().await);
    assert_eq!((&*first.path, &*second.path), ("/SECRET", "/SECRET"));
    assert_eq!(second.body["service"], "shop");
    running.until(&outcome("webhook_1", "refused", 1)).await;
    running.until(&outcome("webhook_1", "delivered", 1)).await;
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read() {
    let folder = folder();
    let server = Server::start(|_| Answer::Endless).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.until(&outcome("webhook_1", "delivered", 1)).await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_and_holds_up_no_other() {
    let folder = folder();
    let mut dead = Server::start(|_| Answer::Never).await;
    let mut good = Server::start(|_| Answer::Status(200)).await;
    let running = Running::start(folder.path(), &[dead.url(), good.url()]);
    let names: Vec<_> = (0..20).map(|number| format!("s{number}")).collect();
    names.iter().for_each(|name| running.given_up(name));
    assert_eq!(good.services(20).await, names);
    assert_eq!(dead.services(6).await, ["s0", "s0", "s0", "s0", "s0", "s1"]);
    running.until(&outcome("webhook_1", "given_up", 1)).await;
}

#[tokio::test]
async fn of_a_flood_the_newest_wait_and_the_others_are_counted() {
    let folder = folder();
    let server = Server::start(|_| Answer::Never).await;
    let running = Running::start(folder.path(), &[server.url()]);
    for number in 0..WAITING_MAX + 10 {
        running.given_up(&format!("s{number}"));
    }
    running.until(&outcome("webhook_1", "dropped", 10)).await;
    running.until("bellows_notify_waiting{receiver=\"webhook_1\"} 64").await;
}

#[tokio::test]
async fn what_waits_is_sent_by_the_next_run_and_what_goes_on_is_not_told_again() {
    let folder = folder();
    let is_well = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&is_well);
    let answers =
        move |_: &Asked| if own.load(SeqCst) { Answer::Status(200) } else { Answer::Never };
    let mut slow = Server::start(answers).await;
    let mut good = Server::start(|_| Answer::Status(200)).await;
    let running = Running::start(folder.path(), &[slow.url(), good.url()]);
    running.given_up("store");
    assert_eq!(good.services(1).await, ["store"]);
    let began = slow.next().await;
    running.until(&outcome("webhook_2", "delivered", 1)).await;
    running.stop().await;

    let kept = std::fs::read_to_string(folder.path().join("kept.json")).unwrap();
    assert!(!kept.contains("SECRET") && !kept.contains("127.0.0.1"), "{kept}");
    is_well.store(true, SeqCst);
    let again = Running::start(folder.path(), &[slow.url(), good.url()]);
    let told = slow.next().await;
    assert_eq!(told.headers["idempotency-key"], began.headers["idempotency-key"]);
    again.given_up("store");
    again.serves("store");
    for server in [&mut slow, &mut good] {
        let key = server.next().await.headers["idempotency-key"].clone();
        assert_eq!(key, "failed_deploy-store-1000-ended");
    }
}

#[tokio::test]
async fn of_what_is_not_wanted_nothing_is_sent() {
    let folder = folder();
    let mut server = Server::start(|_| Answer::Status(200)).await;
    let kinds = [EpisodeKind::FullDisk].into();
    let settings =
        NotifySettings { webhooks: vec![server.url()], kinds, ..NotifySettings::default() };
    let running = Running::with(folder.path(), settings, RootCertStore::empty(), 1);
    running.given_up("store");
    running.until("bellows_episodes{service=\"store\",kind=\"failed_deploy\"} 1").await;
    running.until("bellows_notify_waiting{receiver=\"webhook_1\"} 0").await;
    assert!(server.asked.try_recv().is_err());
}

/// A server with a certificate for `localhost`, and who signed it.
async fn with_tls() -> (Server, RootCertStore) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, routes, asked) = Server::parts(Arc::new(|_: &Asked| Answer::Status(200))).await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = hyper_util::service::TowerToHyperService::new(routes.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
        }
    });
    (Server { address, asked }, roots)
}

#[tokio::test]
async fn a_webhook_by_https_is_reached_where_its_certificate_is_trusted_and_else_not() {
    let (mut server, roots) = with_tls().await;
    // By its name, which the host is asked for.
    let url = format!("https://localhost:{}/SECRET", server.address.port());
    let webhooks = vec![url.parse::<WebhookUrl>().unwrap()];
    let settings = NotifySettings { webhooks, ..NotifySettings::default() };
    let (one, two) = (folder(), folder());
    let trusting = Running::with(one.path(), settings.clone(), roots, 1);
    trusting.given_up("store");
    assert_eq!(server.next().await.path, "/SECRET");
    trusting.until(&outcome("webhook_1", "delivered", 1)).await;
    let strict = Running::with(two.path(), settings, RootCertStore::empty(), 1);
    strict.given_up("store");
    strict.until(&outcome("webhook_1", "given_up", 1)).await;
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn why_a_message_was_not_taken_says_nothing_of_a_webhooks_path() {
    let (server, _) = with_tls().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, why) in [
        (format!("http://{closed}/SECRET"), "refused"),
        ("https://nothing.invalid/SECRET".to_owned(), "no address"),
        (format!("https://localhost:{}/SECRET", server.address.port()), "certificate"),
    ] {
        let webhooks = vec![url.parse::<WebhookUrl>().unwrap()];
        let settings = NotifySettings { webhooks, ..NotifySettings::default() };
        let (patience, first_wait) = (LONG, Duration::ZERO);
        let means = Means { roots: RootCertStore::empty(), mail_port: 1, patience, first_wait };
        let receivers = Receiver::by(means, &settings, "web1").unwrap();
        let message = Message {
            kind: EpisodeKind::FullDisk,
            state: Change::Began,
            service: None,
            at: Timestamp::default(),
            episode: "full_disk-host-0".to_owned(),
            text: String::new(),
        };
        let error = receivers[0].send(&message, "web1").await.unwrap_err();
        let told = format!("{error} {error:?} {receivers:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("SECRET"), "{told}");
    }
}

#[tokio::test]
async fn nobody_is_told_before_it_is_kept_and_where_it_cannot_be_people_are_told_all_the_same() {
    let folder = folder();
    let file = folder.path().join("kept.json");
    let own = file.clone();
    let answers = move |asked: &Asked| {
        let kept = std::fs::read_to_string(&own).unwrap_or_default();
        let is_kept = kept.contains(
            asked.headers["idempotency-key"].to_str().unwrap().trim_end_matches("-began"),
        );
        Answer::Status(if is_kept { 200 } else { 404 })
    };
    let server = Server::start(answers).await;
    let running = Running::start(folder.path(), &[server.url()]);
    // The later ones come within the second in which nothing more is written.
    for (service, count) in [("store", 1), ("shop", 2), ("web", 3)] {
        running.given_up(service);
        running.until(&outcome("webhook_1", "delivered", count)).await;
    }
    running.stop().await;
    std::fs::remove_file(&file).unwrap();
    // In its place there is what cannot be replaced by a file.
    std::fs::create_dir(&file).unwrap();
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.until(&outcome("webhook_1", "refused", 1)).await;
}
