//! The demo as a newcomer starts it.

use std::process::Command;

#[test]
fn the_scripted_attack_becomes_an_incident() {
    let output = Command::new(env!("CARGO_BIN_EXE_wartburg")).args(["demo", "--once"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("198.51.100.23") && text.contains("nach dem ersten Paket"), "{text}");
    assert!(output.stdout.is_empty());
}
