//! What instances reach beyond the host. Nothing there is asked for: each request is refused before a name is
//! looked up.

use std::process::Command;
use std::time::Duration;

use crate::BACK_WITHIN;
use crate::killed::kill_hard;
use crate::machine::output;
use crate::rollout::{up_with, versions};
use crate::system::{bellows, expect_code, instances, program_pid, status, text, within};

const IMAGE: &str = "image = \"object-store\"\n";

/// How long a rollout may take.
const ROLLED_OUT_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn the_way_out_is_there_where_a_file_names_hosts_and_leads_nowhere_else() {
    let (before, scaler) = (versions(), program_pid("scaler"));
    assert!(!runs(), "no service may reach anything");
    let refused = up_reaching("10.117.0.1:80");
    expect_code(&refused, 2);
    assert!(text(&refused).contains("the network of instances"), "{}", text(&refused));

    expect_code(&up_reaching("a.example:443"), 0);
    within(ROLLED_OUT_WITHIN, "every instance has a way out", || versions().is_disjoint(&before));
    let reaching = versions();
    let not_named = "403 object-store may not reach b.example:443: add \"b.example:443\"";
    assert!(asked("b.example").contains(not_named), "{}", asked("b.example"));
    kill_hard(program_pid("egress"));
    within(BACK_WITHIN, "the way out is back", || asked("b.example").contains(not_named));

    // Another list is a revision.
    expect_code(&up_reaching("c.example:443"), 0);
    let revoked = || asked("a.example").contains("may not reach a.example:443");
    within(BACK_WITHIN, "the list is in force", revoked);
    assert_eq!(versions(), reaching);

    expect_code(&bellows(&["up"]), 0);
    within(ROLLED_OUT_WITHIN, "the version of before is back", || versions() == before);
    assert!(!runs(), "no service may reach anything");
    assert!(asked("b.example").contains("Connection refused"), "{}", asked("b.example"));
    assert_eq!(program_pid("scaler"), scaler);
}

fn up_reaching(entry: &str) -> std::process::Output {
    up_with(IMAGE, &format!("{IMAGE}egress = [\"{entry}\"]\n"))
}

/// Whether the proxy is among the programs.
pub(crate) fn runs() -> bool {
    let status = status();
    let programs = status["programs"].as_array().expect("programs");
    programs.iter().any(|program| program["name"] == "egress")
}

/// What curl says within the network of an instance that asks for this host.
fn asked(host: &str) -> String {
    let instance = instances("ready").remove(0);
    let pid = output("lxc-info", &["-n", &instance, "-p", "-H"]);
    let asked = Command::new("nsenter")
        .args(["--target", pid.trim(), "--net", "curl", "--silent", "--show-error", "--verbose"])
        .args(["--max-time", "5", "--proxy", "http://10.117.0.1:3128"])
        .arg(format!("https://{host}/"))
        .output();
    text(&asked.expect("nsenter starts"))
}
