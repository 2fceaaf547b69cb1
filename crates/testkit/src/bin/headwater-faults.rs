//! `headwater-faults [--port PORT]`: plays the scripts of `sdk/faults` to an SDK, until it is ended. See there.

use std::process::ExitCode;

use headwater_testkit::Faults;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match &arguments[..] {
        [] => Some(0),
        [flag, port] if flag == "--port" => port.parse().ok(),
        _ => None,
    };
    let Some(port) = port else {
        eprintln!("usage: headwater-faults [--port PORT]");
        return ExitCode::from(2);
    };
    match Faults::start(port) {
        Ok(faults) => {
            println!("listening on {}", faults.url());
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("error: cannot listen on port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}
