# Recipes without logic: what needs a condition is a program (crates/) or a script (scripts/).

set positional-arguments := true

# Where rustup puts cargo, for a shell that was opened before Rust was installed.
export PATH := env("HOME", "/root") / ".cargo/bin:" + env("PATH")

# Static binaries are built for a named target: see .cargo/config.toml.
programs := justfile_directory() / "target" / arch() + "-unknown-linux-gnu/release"
as_root := if `id -u` == "0" { "" } else { "sudo" }
# Of the current folder alone it would read no settings, but for `up`, `validate` and `doctor`.
bellows := as_root + " " + quote(programs / "bellows") + " --tree ."
# The scaler's operators may run experiments: root, and whoever is in the group, which sudo lends.
as_operator := if `id -u; id -Gn` =~ '(?m)^0$|\bbellows-operators\b' { "" } else { "sudo -g bellows-operators" }
loadgen := as_operator + " " + quote(programs / "loadgen")
simulator := quote(programs / "simulator")
report := quote(programs / "report")

# The packages of the programs that run, the load generator and the report among them, which jobs start: the rest of the laboratory
# is built by the recipes that call it.
system := "--package bellows --package scaler --package console@0.1.0 --package egress --package object-store --package static-server --package init --package loadgen --package report"

# List the recipes
default:
    @just --justfile {{ quote(justfile()) }} --list

# Install missing Debian packages and check the Rust toolchain
setup *WHAT:
    @scripts/setup "$@"

# The features of the programs that run: FEATURES=otel ./just up
features := if env("FEATURES", "") == "" { "" } else { "--features " + quote(env("FEATURES", "")) }

# Build the programs that run
build: setup
    cargo build --release --locked {{ system }} {{ features }}

# Build a program of the laboratory that runs without a system
[private]
laboratory PROGRAM: setup
    cargo build --release --locked --package "$1"

# Bring the system up: bridge, images, HAProxy, scaler, first instances
up *ARGS: build
    @{{ bellows }} up "$@"

# Say what is wrong with bellows.toml and services/, everything at once
validate *ARGS: build
    @{{ bellows }} validate "$@"

# Take the system down; keeps the stored objects
down *ARGS: build
    @{{ bellows }} down "$@"

# Show services, instances and the scaler's last decisions
status *ARGS: build
    @{{ bellows }} status "$@"

# Show a service's policy, or set it while it runs: by name, from FILE.toml, or `default` for its file's; `check` or `preview SERVICE FILE`
policy SERVICE *ARGS: build
    @{{ bellows }} policy "$@"

# Show a line for each service, with how it fares
services *ARGS: build
    @{{ bellows }} services "$@"

# Show the instances; `add SERVICE` and `remove SERVICE [INSTANCE]` change how many there are, or which
instances *ARGS: build
    @{{ bellows }} instances "$@"

# Show what holds for the number of a service's instances, or hold one: N [--for TIME], or --auto
scale SERVICE *ARGS: build
    @{{ bellows }} scale "$@"

# Show services, instances and what happens as it changes, on the whole terminal
top: build
    @{{ bellows }} top

# Show what happened: --since 10m, --follow
events *ARGS: build
    @{{ bellows }} events "$@"

# Show what instances ran and cost: [SERVICE] [--since 7d] [--csv]
cost *ARGS: build
    @{{ bellows }} cost "$@"

# Show a service's bounds, or set them while it runs: MIN MAX, or `default` for its file's
bounds SERVICE *ARGS: build
    @{{ bellows }} bounds "$@"

# Show how HAProxy learns of instances, or set it while the system runs: runtime, reload or default
membership *ARGS: build
    @{{ bellows }} membership "$@"

# Make, list or revoke tokens: make NAME --rights operate [--services NAMES], list, revoke NAME
token *ARGS: build
    @{{ bellows }} token "$@"

# Set, list or remove secrets: set SERVICE NAME (read from standard input), list SERVICE, remove SERVICE NAME
secret *ARGS: build
    @{{ bellows }} secret "$@"

# Write what a report of a fault needs into one file, without secrets: [FILE] [--output]
support *ARGS: build
    @{{ bellows }} support "$@"

# Show what instances write: SERVICE [INSTANCE] [--since 10m] [--follow]
logs *ARGS: build
    @{{ bellows }} logs "$@"

# List the versions of a service that are kept
versions SERVICE: build
    @{{ bellows }} versions "$@"

# Go back to the version of a service that served before, or to VERSION; with --revision all of its file
rollback SERVICE *ARGS: build
    @{{ bellows }} rollback "$@"

# Show who changed what, and how it was before
changes *ARGS: build
    @{{ bellows }} changes "$@"

# Record a service's turns with every input of their decisions: SERVICE FILE [--for 60s]
record *ARGS: build
    @{{ bellows }} record "$@"

# Decide a recording again, as it was or with policy=NAME; --json
replay *ARGS: build
    @{{ quote(programs / "bellows") }} --tree . replay "$@"

# Say whether this machine can run Bellows, and the cure for what is wrong
doctor *ARGS: build
    @{{ bellows }} doctor "$@"

# Run a scenario, or trace=FILE (gaps=zero, interval=1h), against the running system, with policy=NAME, n=RUNS, membership=WAY
experiment *ARGS: build
    @{{ loadgen }} experiment "$@"

# Measure what 1, 2, ... instances serve within the objective, and the times of the host; instances=N
calibrate *ARGS: build
    @{{ loadgen }} calibrate "$@"

# Simulate a scenario, or trace=FILE (gaps=zero, interval=1h), with policy=NAME, peak=INSTANCES, seed=N, json=true
simulate *ARGS: (laboratory "simulator")
    @{{ simulator }} run "$@"

# Simulate every policy under every scenario and trace, rank them and save the table; seeds=N, gaps=zero
compare *ARGS: (laboratory "simulator")
    @{{ simulator }} compare "$@"

# Write report.html and report.pdf of a run, or of results/comparison.csv; --compare RUN_DIR for two
report RUN="results/latest" *ARGS: (laboratory "report")
    @{{ report }} "$@"

# Run the experiments of the project's report that have no data yet: half an hour, after `just up`
report-experiments *NAMES: build (laboratory "simulator") (laboratory "report")
    @scripts/report-experiments "$@"

# Write docs/report.pdf, the project's report, of docs/report/
project-report:
    @scripts/project-report

# Bring the system up and measure it: launches, the scaler, the object store beside nginx, the generator, slow clients
bench: (setup "benches") (setup "pages") up
    cargo bench --locked --no-fail-fast --bench "*"
    cargo test --locked -p host --test haproxy four_thousand -- --ignored --nocapture

# Format the code
fmt:
    cargo fmt --all

# Hold the scaler to its rules through random histories in virtual time, in which anything may fail
histories CASES="100000": setup
    PROPTEST_CASES="$1" cargo test --release --locked -p simulation --test histories whatever_fails

# Ask the console for everything that the description of its API allows; the first use installs schemathesis below target/
test-api *ARGS: setup
    @scripts/schemathesis "$@"

# Drive the console's pages in a real browser, and leave a picture of each below target/pages/
test-pages: (setup "pages")
    scripts/python-packages axe
    cargo test --workspace --locked --test it -- --ignored browser

# Compile the templates of the PDFs; the first use installs the compiler below target/
test-report: setup
    cargo test --locked -p report --test command_line -- --ignored

# Everything that CI checks
test: ci

# Always of the whole workspace: with one package alone, what it depends on has other features, and is built again.
# Format, lints, tests, each bench once, doctests, docs, and the whole system on real containers
ci: (setup "benches") (setup "pages")
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo test --workspace --locked
    scripts/python-packages axe
    cargo test --workspace --locked --test it -- --ignored browser
    cargo clippy --workspace --all-targets --features bellows/otel,scaler/otel --locked -- -D warnings
    cargo test --workspace --lib --features otlp/export --locked export::tests
    scripts/schemathesis
    cargo test --workspace --bench answer_pipe --bench answers --bench applications --bench browser --bench compare --bench history --bench live --bench lxc --bench memory --bench neighbours --bench pace --bench speed --locked
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
    cargo build --release --locked {{ system }}
    cargo test --workspace --locked --test end_to_end -- --ignored --nocapture
