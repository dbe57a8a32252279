//! Verifies passwords, one at a time, on a thread of its own. Each hash takes 19 MiB for tens of milliseconds; done on
//! the pages' threads, a flood of logins would make each of them keep that memory, and take both cores besides.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use crate::user::password_verify;

/// Logins that may wait: about a second's worth. Who comes then is told to try again, which costs nothing.
const WAITING_MAX: usize = 16;

struct Job {
    password: String,
    stored: Option<String>,
    answer: SyncSender<bool>,
}

/// The thread's door; it ends with its last handle.
#[derive(Debug)]
pub struct Hasher(SyncSender<Job>);

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job(…)")
    }
}

impl Default for Hasher {
    fn default() -> Self {
        let (queue, jobs) = sync_channel::<Job>(WAITING_MAX);
        std::thread::spawn(move || {
            while let Ok(job) = jobs.recv() {
                // Whoever asked may have gone.
                let _ = job.answer.send(password_verify(&job.password, job.stored.as_deref()));
            }
        });
        Self(queue)
    }
}

impl Hasher {
    /// Whether the password fits; `None` where too many wait already.
    pub fn verify(&self, password: &str, stored: Option<&str>) -> Option<bool> {
        let (answer, answered) = sync_channel(1);
        let job = Job { password: password.to_owned(), stored: stored.map(str::to_owned), answer };
        match self.0.try_send(job) {
            Ok(()) => answered.recv().ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::user::password_hash;

    #[test]
    fn many_at_once_are_answered_or_sent_away_and_nobody_wrongly() {
        let hash = password_hash("ein gutes Kennwort").unwrap();
        let hasher = Arc::new(Hasher::default());
        let threads: Vec<_> = (0..60)
            .map(|n| {
                let (hasher, hash) = (hasher.clone(), hash.clone());
                let right = n % 2 == 0;
                std::thread::spawn(move || (right, hasher.verify(if right { "ein gutes Kennwort" } else { "falsch" }, Some(&hash))))
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(answers.iter().all(|(right, answer)| answer.is_none_or(|fits| fits == *right)));
        assert!(answers.iter().any(|(_, answer)| answer.is_some()) && answers.iter().any(|(_, answer)| answer.is_none()));
    }
}
