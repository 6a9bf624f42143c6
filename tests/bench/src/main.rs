//! `cargo cost`: measures what the functions cost in time, memory and size.

mod budgets;
mod measure;
mod process;
mod runtime_api;
mod webhook;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use budgets::Budgets;
use lexopt::prelude::*;
use measure::{Effort, Figures};

/// The reason for which there are no figures.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Trouble(String);

const USAGE: &str = "\
Measures each function beside a floor, an echo on lambda_runtime: zipped size, init, first invoke, warm invokes,
processor time, memory, and calls. Fails when a budget of tests/bench/budgets.toml is broken.

Usage: cargo cost [--short]

  --short   fewer invokes, and no budget on times but for those of single steps, as ratios to their floors";

fn is_short() -> Result<Option<bool>, lexopt::Error> {
    let mut short = false;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("short") => short = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(short))
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match is_short() {
        Ok(Some(short)) => run(short).await,
        Ok(None) => print(USAGE).map(|()| true),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "{trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(short: bool) -> Result<bool, Trouble> {
    let budgets = Budgets::read()?;
    let effort = if short { Effort { starts: 3, invokes: 200 } } else { Effort { starts: 15, invokes: 2000 } };
    let binaries = measure::build()?;
    let all = measure::all(&binaries, effort).await?;
    let floor = all.first().ok_or_else(|| Trouble("There is no floor.".into()))?;
    print(&table(&all, floor))?;
    let batch = measure::batch(&binaries).await?;
    print(&format!(
        "\nA batch of 1,000 presence events: {:.2} ms of CPU to coalesce and decide ({:.2}x of reading its JSON), {:.2} MB of \
         memory at most.",
        batch.decide_ms, batch.decide_to_floor, batch.peak_memory_mb
    ))?;
    let notifications = webhook::measure(&binaries, effort).await?;
    print(&format!(
        "One of 100 notifications: {:.1} µs of CPU to read, check and write it out ({:.2}x of reading and writing its JSON), \
         {:.1} µs with its resource ({:.2}x), {:.1} µs with all that the function does; {:.2} MB of memory at most.",
        notifications.item_us,
        notifications.item_to_floor,
        notifications.rich_item_us,
        notifications.rich_item_to_floor,
        notifications.whole_item_us,
        notifications.peak_memory_mb
    ))?;
    let opened = worker::measure(&binaries).await?;
    print(&format!(
        "A rich notification of 3 kB: {:.0} µs of CPU to verify and decrypt it, {:.0} µs when its token is known, where \
         one RSA decryption takes {:.0} µs: {:.2}x and {:.2}x.",
        opened.new_token_us,
        opened.known_token_us,
        opened.rsa_us,
        opened.new_token_us / opened.rsa_us,
        opened.known_token_us / opened.rsa_us
    ))?;
    let mut broken = budgets.broken(&all, floor, short);
    broken.extend(budgets.broken_by_batch(batch));
    broken.extend(budgets.broken_by_notifications(notifications));
    broken.extend(budgets.broken_by_opening(opened));
    if !short {
        broken.extend(budgets.broken_promises(batch, notifications, opened));
        let posts = webhook::posts(&binaries).await?;
        print(&format!(
            "On the local cloud Graph waits for {:.1} ms with a notification (p99 {:.1} ms), {:.1} ms with 100 (p99 {:.1} ms), \
             {:.1} ms with a handshake.",
            posts.one_p50, posts.one_p99, posts.many_p50, posts.many_p99, posts.handshake_p50
        ))?;
        broken.extend(budgets.broken_by_posts(posts));
    }
    for line in &broken {
        print(&format!("BROKEN: {line}"))?;
    }
    if broken.is_empty() {
        print(if short { "Within budget (size, memory, calls, single steps)." } else { "Within budget." })?;
    }
    Ok(broken.is_empty())
}

fn print(text: &str) -> Result<(), Trouble> {
    writeln!(io::stdout(), "{text}").map_err(|error| Trouble(format!("The terminal is gone: {error}")))
}

/// The figures, each with its ratio to the floor.
fn table(all: &[Figures], floor: &Figures) -> String {
    type Figure = fn(&Figures) -> f64;
    let columns: [(&str, Figure); 7] = [
        ("zipped MB", |f| f.zipped_mb),
        ("init ms", |f| f.init_ms),
        ("first ms", |f| f.first_ms),
        ("warm p50 ms", |f| f.warm_p50_ms),
        ("warm p99 ms", |f| f.warm_p99_ms),
        ("CPU s/1000", |f| f.cpu_s_per_1000),
        ("peak MB", |f| f.peak_memory_mb),
    ];
    let mut text = format!("{:<16}", "function");
    for (name, _) in &columns {
        text.push_str(&format!("{name:>18}"));
    }
    text.push_str("    upstream    secrets+tokens\n");
    for figures in all {
        text.push_str(&format!("{:<16}", figures.name));
        for (_, value) in &columns {
            let ratio = value(figures) / value(floor);
            text.push_str(&format!("{:>10.2} ({ratio:>4.1}x)", value(figures)));
        }
        text.push_str(&format!("{:>12.2}{:>18.2}\n", figures.upstream_calls, figures.secret_and_token_calls));
    }
    text
}
