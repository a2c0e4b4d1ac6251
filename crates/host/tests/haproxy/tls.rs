//! HTTPS: spoken with the certificate that its files hold, through their renewal.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use host::haproxy::{CertificateError, FollowError, Haproxy, check_certificate};
use host::settings::{Membership, TlsSettings};
use nix::sys::signal::Signal;

use crate::rig::{Rig, kill};

/// A rig that speaks HTTPS with the certificate in its folder.
async fn start() -> Rig {
    let mut rig = Rig::new(Membership::Runtime, 4);
    let listen = SocketAddrV4::new(*rig.settings.listen.ip(), 7443);
    let certificate = rig.folder.path().join("own.pem");
    make_certificate(&certificate);
    let tls = TlsSettings { listen, certificate, key: None };
    rig.settings.tls = Some(tls);
    rig.haproxy = Haproxy::new(rig.settings.clone()).unwrap().into();
    assert!(rig.haproxy.follow_certificate().await.unwrap());
    rig.prepare_and_start().await;
    rig
}

fn tls(rig: &Rig) -> &TlsSettings {
    rig.settings.tls.as_ref().unwrap()
}

/// A certificate for 127.0.0.0/8's names and its key, in one file.
fn make_certificate(file: &Path) {
    let key = file.with_extension("key");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=bellows.test", "-addext"])
        .args(["subjectAltName=DNS:bellows.test", "-out"])
        .arg(file)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let both = std::fs::read_to_string(file).unwrap() + &std::fs::read_to_string(&key).unwrap();
    std::fs::write(file, both).unwrap();
}

/// The certificate alone, as clients know it.
fn known(rig: &Rig, name: &str) -> PathBuf {
    let file = rig.folder.path().join(name);
    std::fs::copy(&tls(rig).certificate, &file).unwrap();
    file
}

fn curl(rig: &Rig, arguments: &[&str], path: &str) -> Command {
    let address = tls(rig).listen;
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "20", "--resolve"]);
    command.arg(format!("bellows.test:{}:{}", address.port(), address.ip()));
    command.args(arguments).arg(format!("https://bellows.test:{}{path}", address.port()));
    command
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Whether a client that knows this certificate alone is answered.
async fn serves(rig: &Rig, certificate: &Path) -> bool {
    let known = certificate.to_str().unwrap();
    run(curl(rig, &["--cacert", known], "/")).await.status.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_served_and_no_request_is_lost() {
    let mut rig = start().await;
    let _instance = rig.scale_out(1).await;
    let first = known(&rig, "first");
    assert!(serves(&rig, &first).await);
    let renewed = rig.folder.path().join("renewed.pem");
    make_certificate(&renewed);
    let codes = ["--insecure", "--output", "/dev/null", "--write-out", "%{http_code}\n"];
    let mut each_anew = curl(&rig, &codes, "/[1-300]");
    each_anew.args(["--header", "Connection: close"]);
    let load = [curl(&rig, &codes, "/[1-1500]"), each_anew];
    let load = load.map(|command| tokio::spawn(run(command)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::fs::rename(renewed, &tls(&rig).certificate).unwrap();
    assert!(rig.haproxy.follow_certificate().await.unwrap());
    assert!(load.iter().all(|load| !load.is_finished()), "too late: the load has ended");
    let second = known(&rig, "second");
    assert!(serves(&rig, &second).await && !serves(&rig, &first).await);
    for (load, requests) in load.into_iter().zip([1500, 300]) {
        let output = load.await.unwrap();
        let codes = String::from_utf8(output.stdout).unwrap();
        assert_eq!(codes.lines().filter(|code| *code == "200").count(), requests, "{codes}");
    }
    assert!(!rig.haproxy.follow_certificate().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_cannot_be_used_leaves_the_one_of_before_also_through_a_restart() {
    let mut rig = start().await;
    let _instance = rig.scale_out(1).await;
    let first = known(&rig, "first");
    let other = rig.folder.path().join("other.pem");
    make_certificate(&other);
    let key = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        text[text.find("-----BEGIN PRIVATE").unwrap()..].to_owned()
    };
    // The key of another certificate, as when one of two files was renewed.
    let own = std::fs::read_to_string(&first).unwrap();
    let mixed = own.replace(&key(&first), &key(&other));
    std::fs::write(&tls(&rig).certificate, mixed).unwrap();
    let refused = rig.haproxy.follow_certificate().await.unwrap_err();
    let is_refusal = |error: &_| matches!(error, CertificateError::Refused { .. });
    assert!(matches!(&refused, FollowError::Certificate(error) if is_refusal(error)), "{refused}");
    let checked = check_certificate(&rig.settings.program, tls(&rig)).await.unwrap_err();
    assert!(is_refusal(&checked), "{checked}");
    assert!(serves(&rig, &first).await);

    std::fs::remove_file(&tls(&rig).certificate).unwrap();
    kill(rig.master(), Signal::SIGKILL);
    rig.reap();
    // Who starts it knows no more than what is in place.
    rig.haproxy = Haproxy::new(rig.settings.clone()).unwrap().into();
    rig.start_haproxy().await;
    assert!(rig.haproxy.follow_certificate().await.is_err());
    rig.apply().await;
    assert!(serves(&rig, &first).await);
    let left = std::fs::read_dir(rig.folder.path()).unwrap().flatten();
    let names: Vec<_> = left.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let copies = names.iter().filter(|name| name.starts_with("certificate"));
    assert_eq!(copies.count(), 1, "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_http_1_1_over_tls_1_2_and_later_is_spoken() {
    let mut rig = start().await;
    let _instance = rig.scale_out(1).await;
    let version =
        ["--insecure", "--http2", "--output", "/dev/null", "--write-out", "%{http_version}"];
    let output = run(curl(&rig, &version, "/")).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1.1");
    let old = ["--insecure", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    assert!(!run(curl(&rig, &old, "/")).await.status.success());
    let new = ["--insecure", "--tls-max", "1.2"];
    assert!(run(curl(&rig, &new, "/")).await.status.success());
}
