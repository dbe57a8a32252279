//! The program's entry: arguments, our own log, and the exit code. Everything else is the library's.

use std::process::ExitCode;

fn main() -> ExitCode {
    dashboard::start::main()
}
