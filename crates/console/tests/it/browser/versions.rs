//! A deploy and the way back, as a browser does them.

use fantoccini::Locator;
use serde_json::json;

use super::driver::{Driver, text_of, until};
use super::logs::logged_in;
use super::running::Running;
use crate::pages_of_versions::{job, job_id, versions};

const PATH: &str = "/services/shop/versions";

/// One that tells of versions, and has no job.
async fn started() -> Running {
    let running = Running::start().await;
    running.scaler.answers("GET /v1/services/shop/versions", versions());
    running.scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": []}));
    running
}

/// Files that somebody chooses: one that is compressed, a tar archive of many blocks, and one that is none.
pub(super) fn files(folder: &std::path::Path) -> [String; 3] {
    let mut tar = vec![0_u8; 12 << 20];
    tar[257..262].copy_from_slice(b"ustar");
    let gzip = b"\x1f\x8b\x08 and so on".to_vec();
    let files = [("shop.tar.gz", gzip), ("shop.tar", tar), ("shop.zip", b"PK".to_vec())];
    files.map(|(name, content)| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn an_archive_is_sent_and_its_job_followed_to_its_end_with_what_it_writes() {
    let running = started().await;
    let (scaler, id) = (&running.scaler, job_id(9));
    let under_way = job(9, 0, None);
    scaler.answers("POST /v1/services/shop/deploys", under_way.clone());
    let log = |after: usize| format!("GET /v1/jobs/{id}/log?after={after}");
    let (first, second) = ("step <b>one</b>\n", "no module named flask\n");
    scaler.answers(&format!("GET /v1/jobs/{id}"), under_way.clone());
    scaler.answers(&log(0), json!(first));
    scaler.answers(&log(first.len()), json!(""));
    let folder = tempfile::tempdir().unwrap();
    let [gzip, _, zip] = files(folder.path());
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    browser.goto(&running.url(PATH)).await.unwrap();
    let choose = async |file: &str| {
        let chooser = browser.find(Locator::Css("#deploy-form input[type=file]")).await.unwrap();
        chooser.send_keys(file).await.unwrap();
        browser.find(Locator::Css("#deploy-form button")).await.unwrap().click().await.unwrap();
    };
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    choose(&gzip).await;
    until(&browser, &format!("{}.includes('log in')", text_of("#deploy-said"))).await;
    logged_in(&running, &browser, "operator", PATH).await;
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    choose(&zip).await;
    until(&browser, &format!("{}.includes('neither a tar archive')", text_of("#deploy-said")))
        .await;
    assert!(scaler.asked().iter().all(|it| !it.line.starts_with("POST")), "nothing was sent");
    choose(&gzip).await;
    until(&browser, &format!("{}.includes('The job {id} deploys it')", text_of("#deploy-said")))
        .await;
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": [under_way]}));
    let sent = scaler.asked().into_iter().find(|it| it.line.starts_with("POST")).unwrap();
    assert_eq!(sent.line, "POST /v1/services/shop/deploys");
    assert_eq!(sent.headers["content-type"], "application/gzip");
    assert_eq!(&sent.body[..], &std::fs::read(&gzip).unwrap()[..]);
    until(&browser, &format!("{}.includes('step <b>one</b>')", text_of("#job-log-text"))).await;
    until(&browser, &format!("{}.includes('is under way')", text_of("#job-log-said"))).await;
    until(&browser, &format!("{}.includes('under way: image')", text_of("#jobs"))).await;
    // It fails: why is where it was followed, and in the list.
    let failed = job(9, 3, Some((false, "the build <i>failed</i>")));
    scaler.answers(&log(first.len()), json!(second));
    scaler.answers(&log(first.len() + second.len()), json!(""));
    scaler.answers(&format!("GET /v1/jobs/{id}"), failed.clone());
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": [failed]}));
    until(
        &browser,
        &format!("{}.includes('failed: the build <i>failed</i>.')", text_of("#job-log-said")),
    )
    .await;
    until(&browser, &format!("{}.includes('no module named flask')", text_of("#job-log-text")))
        .await;
    until(&browser, &format!("{}.includes('failed: image')", text_of("#jobs"))).await;
    until(&browser, "document.querySelectorAll('#main i, #main b').length === 0").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_token_with_too_few_rights_deploys_nothing_and_is_told_so_beside_the_archive() {
    let running = started().await;
    running.scaler.knows("clerk", &["read"], None);
    let folder = tempfile::tempdir().unwrap();
    let [_, tar, _] = files(folder.path());
    let driver = Driver::start();
    let browser = driver.browser(360, false).await;
    logged_in(&running, &browser, "clerk", PATH).await;
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    let chooser = browser.find(Locator::Css("#deploy-form input[type=file]")).await.unwrap();
    chooser.send_keys(&tar).await.unwrap();
    browser.find(Locator::Css("#deploy-form button")).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('has no right to deploy')", text_of("#deploy-said")))
        .await;
    until(&browser, "!document.querySelector('#deploy-form button').disabled").await;
    browser.close().await.unwrap();
}

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn one_goes_back_to_a_version_after_a_question_and_follows_that_too() {
    let running = started().await;
    let (scaler, id) = (&running.scaler, job_id(4));
    let under_way = job(4, 0, None);
    scaler.answers("POST /v1/services/shop/rollback", under_way.clone());
    scaler.answers(&format!("GET /v1/jobs/{id}"), under_way.clone());
    scaler.answers(&format!("GET /v1/jobs/{id}/log?after=0"), json!(""));
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    logged_in(&running, &browser, "operator", PATH).await;
    until(&browser, &format!("{} === 'Live'", text_of("#following"))).await;
    let back = Locator::Css("#version-00000001 button");
    browser.find(back).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('00000001 is deployed again')", text_of("#dialog")))
        .await;
    browser.find(Locator::Css("#dialog button[value=yes]")).await.unwrap().click().await.unwrap();
    until(&browser, &format!("{}.includes('done')", text_of("#said"))).await;
    let asked = scaler.asked().into_iter().find(|it| it.line.starts_with("POST")).unwrap();
    assert_eq!(&asked.body[..], br#"{"version":"00000001"}"#);
    scaler.answers("GET /v1/jobs?service=shop", json!({"jobs": [under_way]}));
    // Nobody chose it: it is followed since it is under way.
    until(&browser, &format!("{}.includes('The job {id} is under way')", text_of("#job-log-said")))
        .await;
    until(&browser, "document.querySelector('#version-00000001 button') === null").await;
    browser.close().await.unwrap();
}
