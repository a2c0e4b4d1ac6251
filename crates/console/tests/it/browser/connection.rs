//! The connection to the console is lost, and is there again.

use super::charts::shown;
use super::driver::{Driver, text_of, until};
use super::running::Running;

#[tokio::test]
#[ignore = "drives a browser: run by `just test-pages`"]
async fn a_page_says_since_when_the_connection_is_lost_and_goes_on_with_the_hole_shown() {
    let mut running = Running::start().await;
    let driver = Driver::start();
    let browser = driver.browser(1600, false).await;
    shown(&browser, &running).await;
    until(&browser, "charts[0].data[0].length > 5").await;
    running.kills_the_console();
    let told = text_of("#following");
    until(&browser, &format!("/^Connection lost at \\d\\d:\\d\\d:\\d\\d/.test({told})")).await;
    browser
        .execute(&format!("window.lost = {told}; window.at = Date.now()"), vec![])
        .await
        .unwrap();
    // It is tried again after 0.5 s, 1 s, 2 s, and says the moment since when all the same.
    until(&browser, "Date.now() - window.at > 4500").await;
    until(&browser, &format!("{told} === window.lost")).await;
    running.starts_the_console().await;
    until(&browser, &format!("{told} === 'Live'")).await;
    let holes = "charts.slice(-5).map((it) => it.data[0].flatMap((at, index) => \
                 index > 0 && at - it.data[0][index - 1] > 1.5 ? [index - 1] : []))";
    until(&browser, &format!("{holes}.every((it) => it.length > 0)")).await;
    // On the way into each there is a point at which nothing is known.
    let empty = "charts.slice(-5).every((it, number) => holes[number].every((index) => \
                 it.data.slice(1).every((row) => row[index] === null)))";
    until(&browser, &format!("((holes) => {empty})({holes})")).await;
    // And before it and behind it is what was.
    until(&browser, "charts.at(-5).data[1].slice(0, 5).every((it) => it !== null)").await;
    until(&browser, "charts.at(-5).data[1].slice(-3).every((it) => it !== null)").await;
    until(&browser, "charts.at(-5).series.every((it) => it.spanGaps !== true)").await;
    browser.close().await.unwrap();
}
